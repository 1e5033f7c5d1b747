"""The outbox of a thread: everything that it writes to Kafka goes through one object.

These are new records, dead letters, and repartitioned records. A record is repartitioned if it was found in
another partition than the one that owns its key: it is published again to the owner partition, unchanged.
"""

from collections.abc import Sequence
from functools import partial

from streams.errors import BadRecord
from streams.kafka.dead_letters import dead_letter
from streams.kafka.producer import Sink
from streams.kafka.records import Output, Record
from streams.metrics import DEAD_LETTERS, EVENTS
from streams.settings import KafkaSettings

REPARTITIONED_HEADER = "dch-forwarded"
"""Header of a repartitioned record. Its value is the position of the original record."""


class Outbox:
    """Send new records, dead letters and repartitioned records; count the last two. Any thread may send.

    Args:
        settings: settings with the topic prefix, which metric labels leave out.
        sink: the producer.
        group: the consumer group to name in dead letters.
    """

    def __init__(self, settings: KafkaSettings, sink: Sink, *, group: str) -> None:
        self._prefix = settings.prefix
        self._sink = sink
        self._group = group

    def send(self, output: Output) -> None:
        """Queue a record; it is on the broker after ``flush``.

        Raises:
            DeliveryError: the queue stayed full.
        """
        self._sink.send(output)

    def dead_letter(self, record: Record, reason: BadRecord) -> None:
        """Queue the dead letter of a record, and count it. If it is too large, it has no value.

        Raises:
            DeliveryError: as for ``send``.
        """
        self._sink.send(self._counted_letter(record, reason))

    def repartition(self, record: Record, partition: int, key: bytes | None) -> None:
        """Queue a record again for its owner partition, with the same value, headers and time, and count it.

        If it is too large with the header that is added, it becomes a dead letter.

        Raises:
            DeliveryError: as for ``send``.
        """
        self._sink.send(
            Output(
                topic=record.topic,
                key=key,
                value=record.value,
                partition=partition,
                headers=[*record.headers, (REPARTITIONED_HEADER, record.position.encode())],
                timestamp_ms=record.timestamp_ms or None,
                if_refused=partial(
                    self.letter_instead,
                    record,
                    f"not repartitioned to partition {partition}: too large with one more header "
                    f"({len(record.value or b'')} bytes), or stamped ahead",
                ),
            )
        )
        EVENTS.labels(record.topic.removeprefix(self._prefix), "forwarded").inc()

    def letter_instead(self, record: Record, fault: str) -> Output:
        """Return the dead letter of a record, to be sent where what follows from it was refused; count it."""
        return self._counted_letter(record, BadRecord("value", fault, reason="refused"))

    def _counted_letter(self, record: Record, reason: BadRecord) -> Output:
        topic = record.topic.removeprefix(self._prefix)
        DEAD_LETTERS.labels(topic, reason.reason).inc()
        EVENTS.labels(topic, "dead_letter").inc()
        return dead_letter(record, reason, group=self._group)

    def flush(self) -> None:
        """Wait until every record is acknowledged.

        Raises:
            DeliveryError: one was not; nothing that depends on it may be committed.
        """
        self._sink.flush()

    def send_all(self, outputs: Sequence[Output]) -> None:
        """Send records and wait until they are acknowledged; returns at once if there are none.

        Raises:
            DeliveryError: one was not acknowledged.
        """
        for output in outputs:
            self._sink.send(output)
        if outputs:
            self._sink.flush()


def is_repartitioned(record: Record) -> bool:
    """Return whether this record was published again by a worker that found it in another partition."""
    return any(name == REPARTITIONED_HEADER for name, _ in record.headers)
