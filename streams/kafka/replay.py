"""Track whether partitions were read up to given target offsets, such as their ends at the start."""

import time
from collections.abc import Callable, Iterable, Mapping

from streams.kafka import Partition

QUIET_S = 5.0
"""Seconds without any record after which a replay counts as complete. A partition that ends in a transaction
marker, or whose last records were compacted away, never delivers a record at its end offset."""


class ReplayProgress:
    """The partitions that are not yet read up to their target offset.

    One thread writes; other threads may query.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._targets: dict[Partition, int] = {}
        self._now = now
        self._last_record_at = now()

    def expect(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
        """Set the target offsets of partitions.

        Args:
            positions: the current read position of each partition; 0 where it is missing.
            ends: the target offset of each partition.
        """
        self._last_record_at = self._now()
        for partition, end in ends.items():
            if positions.get(partition, 0) < end:
                self._targets[partition] = end
            else:
                self._targets.pop(partition, None)

    def note(self, positions: Mapping[Partition, int]) -> None:
        """Record the read positions after a poll. Call it after an empty poll, too: ``QUIET_S`` needs it."""
        if positions:
            self._last_record_at = self._now()
        elif self._targets and self._now() - self._last_record_at > QUIET_S:
            self._targets = {}
        for partition, position in positions.items():
            if partition in self._targets and position >= self._targets[partition]:
                del self._targets[partition]

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
