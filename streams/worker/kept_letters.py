"""The dead letters of the global tables: each is kept until the owner of its partition has committed it.

The worker that owns a partition writes the dead letters of its bad records, and then commits. A partition may
get another owner at any moment. So every worker keeps the bad records of all partitions until they are
committed, and an owner commits a partition only after the dead letters of all bad records before that offset.
If there are too many to keep, an owner reads its partitions again from the first one that was left out. It
then drops those of the others, which leave only when their owners commit: two workers, each full of the bad
records of the other, would wait for each other for ever.
"""

from collections.abc import Iterable

from streams.errors import BadRecord
from streams.kafka import Consumer, Partition
from streams.kafka.dead_letters import without_value
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record

MAX_KEPT_BYTES = 64 << 20
"""Values of bad records that are kept until they are committed. Dead letters of further ones have none."""

MAX_KEPT_RECORDS = 20_000
"""Bad records that are kept. An owner reads further ones once more."""


class KeptLetters:
    """Bad records of which it is not known that they are committed. Only the tables thread uses it.

    Args:
        consumer: of the global tables.
        outbox: where the dead letters go.
        partitions: those of the global tables.
    """

    def __init__(self, consumer: Consumer, outbox: Outbox, partitions: Iterable[Partition]) -> None:
        self._consumer, self._outbox = consumer, outbox
        self._kept: dict[Partition, list[tuple[Record, BadRecord]]] = {}  # in the order of their offsets
        self._n_bytes = 0
        self._kept_to: dict[Partition, int] = {}  # all bad records before this offset were kept
        self._left_out: dict[Partition, int] = {}  # the first bad record that was not kept
        self._committed = consumer.committed_within(list(partitions))

    def keep(self, record: Record, reason: BadRecord) -> None:
        """Keep a bad record, unless it was kept before or is committed."""
        place = partition_of(record)
        if record.offset < self._kept_to.get(place, 0) or self._is_committed(record):
            return
        if sum(map(len, self._kept.values())) >= MAX_KEPT_RECORDS:
            self._left_out.setdefault(place, record.offset)
        if place in self._left_out:
            return
        self._kept_to[place] = record.offset + 1
        reason.__traceback__ = reason.__context__ = None  # they would keep the decoded values alive
        if self._n_bytes > MAX_KEPT_BYTES:
            record = without_value(record)
        self._n_bytes += len(record.value or b"")
        self._kept.setdefault(place, []).append((record, reason))

    def kept(self) -> list[tuple[Record, BadRecord]]:
        """Return the bad records that are kept, each with its reason."""
        return [one for found in self._kept.values() for one in found]

    def commit(self, owned: frozenset[int]) -> dict[Partition, int]:
        """Write the dead letters of the owned partitions, and commit what was applied of these.

        Returns:
            Where to read partitions again, because bad records of them could not be kept.

        Raises:
            DeliveryError: a dead letter was not acknowledged; nothing was committed.
        """
        self._write(owned)
        if not owned:
            return {}
        self._consumer.commit(skip=[one for one in self._committed if not self._may_commit(one, owned)])
        return self._begin_again(owned)

    def _write(self, owned: frozenset[int]) -> None:
        """Write the dead letters of the owned partitions; forget the bad records that are committed."""
        if not self._kept:
            self._outbox.flush()  # runs the callbacks of the producer, which count and log its problems
            return
        self._committed |= self._consumer.committed(self._kept)
        left = {
            one: [bad for bad in found if not self._is_committed(bad[0])] for one, found in self._kept.items()
        }
        for record, reason in [bad for one, found in left.items() if one.partition in owned for bad in found]:
            self._outbox.dead_letter(record, reason)
        self._outbox.flush()
        self._keep_only({one: found for one, found in left.items() if found and one.partition not in owned})

    def _may_commit(self, partition: Partition, owned: frozenset[int]) -> bool:
        """Return whether all bad records before what was applied of a partition have their dead letters.

        Until something was read since a partition is read again, what was applied of it is beyond that.
        """
        is_read = self._consumer.position(partition) is not None
        return is_read and partition.partition in owned and partition not in self._left_out

    def _begin_again(self, owned: frozenset[int]) -> dict[Partition, int]:
        """Return where to read owned partitions again, and make room; their dead letters were written."""
        starts = {one: first for one, first in self._left_out.items() if one.partition in owned}
        if starts:
            dropped = {one: found[0][0].offset for one, found in self._kept.items()}
            self._kept_to |= dropped
            left_out = self._left_out | dropped
            self._left_out = {one: first for one, first in left_out.items() if one not in starts}
            self._keep_only({})
        return starts

    def _keep_only(self, kept: dict[Partition, list[tuple[Record, BadRecord]]]) -> None:
        self._kept = kept
        self._n_bytes = sum(len(record.value or b"") for record, _ in self.kept())

    def _is_committed(self, record: Record) -> bool:
        return record.offset < self._committed[partition_of(record)]


def partition_of(record: Record) -> Partition:
    """Return the partition of a record."""
    return Partition(record.topic, record.partition)
