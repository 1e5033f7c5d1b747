"""How far a consumer has read its partitions, how far their records were applied, and how far committed."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from streams.kafka.records import Partition

Offsets = dict[Partition, int]

NONE_WAITING: Mapping[Partition, int] = MappingProxyType({})
"""No record waits that was read."""


class Positions:
    """Three offsets of each partition: the first unread one, the first unapplied one, the committed one.

    They are known from the assignment of a partition on. A partition is unknown until something of it was
    read: a record, or its end.
    """

    def __init__(self) -> None:
        self.read: Offsets = {}
        """The first unread offset. It steps over the markers of transactions and over compacted records."""

        self._ends: Offsets = {}  # where the broker last said that there is no more to read
        self._applied: Offsets = {}
        self._committed: Offsets = {}

    def note_read(self, offsets: Mapping[Partition, int]) -> None:
        """Record the offsets after the last records that were read."""
        self.read |= offsets

    def note_ends(self, ends: Mapping[Partition, int]) -> None:
        """Record that partitions were read to these ends, whatever their last records were."""
        self._ends |= ends
        self.note_steps(ends)

    def note_steps(self, offsets: Mapping[Partition, int]) -> None:
        """Record the client's own positions, where they are beyond the last record or end that was read."""
        self.read |= {one: max(offset, self.read.get(one, 0)) for one, offset in offsets.items()}

    def note_committed(self, offsets: Mapping[Partition, int]) -> None:
        """Record committed offsets; below 0 for none."""
        self._committed |= offsets

    def mark_applied(
        self, skip: Collection[Partition], waiting: Mapping[Partition, int] = NONE_WAITING
    ) -> None:
        """Record that everything read so far was applied; see ``Consumer.mark_applied``."""
        self._applied |= {
            one: min(offset, waiting.get(one, offset)) for one, offset in self.read.items() if one not in skip
        }

    def to_commit(self, skip: Collection[Partition], renewed: Collection[Partition] = ()) -> Offsets:
        """Return the applied offsets that are beyond the committed ones, without the skipped partitions.

        Of partitions to be renewed, those that are equal to the committed ones are returned as well.
        """
        return {
            one: offset
            for one, offset in self._applied.items()
            if one not in skip and offset > self._committed.get(one, -1) - (one in renewed)
        }

    def applied(self) -> list[Partition]:
        """Return the partitions of which something was applied."""
        return list(self._applied)

    def has_committed(self, partition: Partition) -> bool:
        """Tell whether the committed offset of a partition is known."""
        return partition in self._committed

    def committed(self, partition: Partition) -> int:
        """Return the committed offset of a partition; 0 if there is none, or none is known."""
        return max(self._committed.get(partition, 0), 0)

    def is_at_end(self, partition: Partition) -> bool:
        """Tell whether the last thing read of a partition was its end."""
        return self._ends.get(partition) == self.read.get(partition, -1)

    def restart(self, partitions: Iterable[Partition]) -> None:
        """Forget what was read of partitions that are read from another offset; not what was applied."""
        for partition in list(partitions):
            self.read.pop(partition, None)
            self._ends.pop(partition, None)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget everything about partitions."""
        partitions = list(partitions)
        self.restart(partitions)
        for partition in partitions:
            self._applied.pop(partition, None)
            self._committed.pop(partition, None)
