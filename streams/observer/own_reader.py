"""Reads on in `served` with librdkafka where the client of Faust fails.

aiokafka takes the names of headers for UTF-8. At one that is not it raises an error, and fetches the same
records again. librdkafka reads them; such a record then says that its headers cannot be read.
"""

from collections.abc import Mapping

from streams.kafka import Consumer, Partition, Patience
from streams.kafka.records import Record
from streams.settings import ObserverSettings

MAX_RECORDS = 500
MAX_POLLS = 25
"""Records that do not arrive within 5 s are read when aiokafka has failed again."""


class OwnReader:
    """Reads the next records of some partitions. It commits nothing.

    Args:
        settings: of the observer.
        patience: how long to wait for a broker that is away.
    """

    def __init__(self, settings: ObserverSettings, patience: Patience) -> None:
        kafka = {**settings.kafka, "isolation.level": "read_uncommitted"}  # as Faust reads
        self._settings, self._patience = settings.replace(kafka=kafka), patience

    def read(self, starts: Mapping[Partition, int]) -> tuple[list[Record], dict[Partition, int]]:
        """Return the next records, and the offset to go on at of each partition.

        Args:
            starts: where to begin: an offset, or BEGINNING.

        Raises:
            BrokerUnavailableError, BrokerRefusedError, StoppedError: as for ``Consumer``.
        """
        consumer = Consumer(
            self._settings,
            group=self._settings.group_of("observer"),
            start="earliest",
            max_records=MAX_RECORDS,
            patience=self._patience,
        )
        try:
            first = consumer.beginning_offsets([one for one, start in starts.items() if start < 0])
            begun = {**starts, **first}
            consumer.assign(begun)
            records = next(filter(None, (consumer.poll() for _ in range(MAX_POLLS))), [])
            return records, {one: consumer.position(one) or begun[one] for one in begun}
        finally:
            consumer.close()
