"""The outbox: writes the records of one thread of a role, and counts those that are not plain results.

A record leaves in one of three ways: as a result (``send``), as a dead letter, or repartitioned, that is
published again to the partition that its key belongs to. All of them are on the broker after ``flush``.
"""

from collections.abc import Sequence

from streams.errors import BadRecord
from streams.kafka.dead_letters import dead_letter
from streams.kafka.producer import Sink
from streams.kafka.records import Output, Record
from streams.metrics import DEAD_LETTERS, EVENTS
from streams.settings import Settings

FORWARDED = "dch-forwarded"
"""Header of a repartitioned record; its value is the position where the record was found."""


class Outbox:
    """Writes results, dead letters and repartitioned records.

    Args:
        settings: the prefix of topics, which metrics leave out.
        sink: the producer.
        group: the consumer group that dead letters name.
    """

    def __init__(self, settings: Settings, sink: Sink, *, group: str) -> None:
        self._prefix = settings.prefix
        self._sink = sink
        self._group = group

    def send(self, output: Output) -> None:
        """Queue a record.

        Raises:
            DeliveryError: the queue stayed full, or the record is too large.
        """
        self._sink.send(output)

    def dead_letter(self, record: Record, reason: BadRecord) -> None:
        """Queue the dead letter of a record, and count it.

        Raises:
            DeliveryError: as for ``send``.
        """
        self._sink.send(dead_letter(record, reason, group=self._group))
        topic = record.topic.removeprefix(self._prefix)
        DEAD_LETTERS.labels(topic, reason.reason).inc()
        EVENTS.labels(topic, "dead_letter").inc()

    def repartition(self, record: Record, partition: int, key: bytes | None) -> None:
        """Queue the same value, headers and time again for another partition of the topic, and count it.

        Raises:
            DeliveryError: as for ``send``.
        """
        self._sink.send(
            Output(
                topic=record.topic,
                key=key,
                value=record.value,
                partition=partition,
                headers=[*record.headers, (FORWARDED, record.position.encode())],
                timestamp_ms=record.timestamp_ms or None,
            )
        )
        EVENTS.labels(record.topic.removeprefix(self._prefix), "forwarded").inc()

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
    """Return whether a worker has published this record again to its present partition."""
    return any(name == FORWARDED for name, _ in record.headers)
