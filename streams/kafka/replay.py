"""Track whether partitions were read up to the offsets at which they ended at some moment.

The position of the consumer decides, never the time: a silent broker is not the end of a partition. The
end is that of what the consumer may read: the first open transaction, unless it reads uncommitted records.
"""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from streams.errors import BrokerUnavailableError
from streams.kafka.patience import ATTEMPT_S
from streams.kafka.records import Partition, Record

log = logging.getLogger("streams.kafka")

ASK_INTERVAL_S = 0.2
"""Time between two questions for the ends of partitions that seem to have lost records."""


class Reading(Protocol):
    """What a replay needs of a consumer to see how far it is."""

    def position(self, partition: Partition) -> int | None:
        """Return the first unread offset; None if nothing was read since the assignment."""

    def is_at_end(self, partition: Partition) -> bool:
        """Tell whether the last thing read of a partition was its end. More may have come since."""

    def end_offsets(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Return the end of each partition.

        Raises:
            BrokerUnavailableError: no broker has answered for ``limit_s``.
        """


class Assignable(Reading, Protocol):
    """What a replay needs of a consumer to begin."""

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read the given partitions."""


class Readable(Assignable, Protocol):
    """What ``read_to_end`` needs of a consumer."""

    def poll(self) -> list[Record]:
        """Return the next records."""


class ReplayProgress:
    """The partitions that are not yet read up to their target offset.

    One thread writes; other threads may query.
    """

    def __init__(self) -> None:
        self._targets: dict[Partition, int] = {}
        self._asked_at_s = -math.inf

    def begin(self, consumer: Assignable, starts: Mapping[Partition, int | None]) -> None:
        """Let a consumer without a group read partitions, and expect it to reach their present ends.

        Args:
            consumer: the consumer.
            starts: where to begin, by partition: an offset or BEGINNING.
        """
        beginnings, ends = consumer.beginning_offsets(starts), consumer.end_offsets(starts)
        self.expect({one: max(beginnings[one], start or 0) for one, start in starts.items()}, ends)
        consumer.assign(starts)

    def expect(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
        """Set the target offsets of partitions.

        Args:
            positions: the current read position of each partition; 0 where it is missing.
            ends: the target offset of each partition.
        """
        for partition, end in ends.items():
            if positions.get(partition, 0) < end:
                self._targets[partition] = end
            else:
                self._targets.pop(partition, None)

    def note(self, consumer: Reading) -> None:
        """Drop the partitions that have reached their targets. Call it after every poll, empty or not."""
        self._drop_reached(consumer, self._targets)
        at_end = [partition for partition in self._targets if consumer.is_at_end(partition)]
        if at_end and time.monotonic() - self._asked_at_s > ASK_INTERVAL_S:
            self._drop_shortened(consumer, at_end)
            self._asked_at_s = time.monotonic()

    def _drop_reached(self, consumer: Reading, ends: Mapping[Partition, int]) -> None:
        for partition, end in list(ends.items()):
            if (consumer.position(partition) or 0) >= end:
                self._targets.pop(partition, None)

    def _drop_shortened(self, consumer: Reading, partitions: Iterable[Partition]) -> None:
        """Drop partitions that were read to an end before their target, if that still is the end.

        They have lost their last records. Usually the rest is only not fetched yet, so the leader decides.
        """
        try:
            self._drop_reached(consumer, consumer.end_offsets(partitions, ATTEMPT_S))
        except BrokerUnavailableError as reason:
            log.info("the ends of partitions are not known yet reason=%s", reason)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop the targets of these partitions."""
        for partition in partitions:
            self._targets.pop(partition, None)

    def waits_for(self, partition: Partition) -> bool:
        """Tell whether a partition has not reached its target yet."""
        return partition in self._targets

    def is_done(self) -> bool:
        """Tell whether every partition has reached its target."""
        return not self._targets


def read_to_end(consumer: Readable, starts: Mapping[Partition, int | None]) -> Iterator[Record]:
    """Yield the records of partitions up to the ends that they have now; those of one are in order.

    Args:
        consumer: a consumer without a group; what it read before is assigned to it no more.
        starts: where to begin, by partition: an offset or BEGINNING.
    """
    ends, progress = consumer.end_offsets(starts), ReplayProgress()
    progress.begin(consumer, starts)
    while not progress.is_done():
        for record in consumer.poll():
            if record.offset < ends[Partition(record.topic, record.partition)]:
                yield record
        progress.note(consumer)
