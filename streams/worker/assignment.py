"""The assignment of one worker: which partitions it owns, how far they were applied and committed.

Partition p of `ratings`, `users` and `item-ratings` belong together: a worker owns all three or none. It
rebuilds its state from the beginning of the log. A record before the committed offset is *replayed*: its
outputs were written before, so it is applied again and nothing is written. A record at or after
the committed offset is *live*.

A gained partition is *caught up* when its records are applied up to their final ends. These are the ends once
the group has committed all partitions of `ratings` and `users` up to their ends at the assignment: whatever
was to be repartitioned to this worker is then on the broker.

A partition that is kept in a rebalance stays caught up. If another worker owned it in between, it is first
read to its end, as a gained one is. The group shows that: it has told this worker that its partitions were
lost, or its committed offset is beyond what this worker has applied.
"""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streams import topics
from streams.errors import BrokerUnavailableError, TopicError
from streams.kafka import BEGINNING, Consumer, Partition, Starts
from streams.kafka.patience import ATTEMPT_S
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.metrics import REBALANCES
from streams.settings import WorkerSettings

log = logging.getLogger("streams.worker")

CO_PARTITIONED = (topics.RATINGS, topics.USERS, topics.ITEM_RATINGS)

LOOK_UP_S = 0.2
"""Time between two looks at what the group has committed, while partitions wait for that."""


class Assignment:
    """The partitions of the consumer group that this worker owns. Only the ingest thread uses it."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.topics = [settings.topic(topic.name) for topic in CO_PARTITIONED]
        self.ratings, self.users, self.item_ratings = self.topics
        self.owned: frozenset[int] = frozenset()
        self._positions: dict[Partition, int] = {}  # the first offset not applied yet
        self._committed = {topic: np.zeros(settings.partitions, np.int64) for topic in self.topics}
        self._replay = ReplayProgress()  # up to the committed offsets
        self._to_end = ReplayProgress()  # up to the ends as they were when the partitions were gained
        self._numbers = range(settings.partitions)
        self._group_ends: dict[Partition, int] = {}  # of all workers' partitions, at the last gain
        self._waiting: frozenset[int] = frozenset()  # gained partitions, until the group has committed these
        self._items_waiting: frozenset[int] = frozenset()  # likewise, for `item-ratings`
        self._looked_at = 0.0
        self._is_lost = False
        self.is_settled = False
        """Whether the owned partitions are those of the present generation of the group."""

    def update(self, consumer: Consumer, partitions: list[Partition]) -> tuple[Starts, frozenset[int]]:
        """Replace the owned partitions by these. All lookups come first: if one fails, nothing has changed.

        Returns:
            The offset to read each partition from: the beginning, or the present position if it was owned
            before. And the numbers of the partitions that are no longer owned.

        Raises:
            TopicError: the partitions of the three topics differ, or there are more than at the start.
            BrokerUnavailableError, BrokerRefusedError, StoppedError: a lookup failed.
        """
        self._require_expected(partitions)
        owned = _numbers(partitions, self.topics)
        lost, gained = self.owned - owned, owned - self.owned
        new = [one for one in partitions if one.partition in gained]
        committed = consumer.committed_within(partitions)
        to_read = [*new, *self._owned_by_another(partitions, committed)]
        behind = frozenset(one.partition for one in to_read)
        beginnings, ends = consumer.beginning_offsets(new), consumer.end_offsets(to_read)
        group_ends = self._ask_group_ends(consumer) if behind else self._group_ends
        positions = {one: beginnings.get(one, self._positions.get(one, 0)) for one in partitions}
        for one, offset in committed.items():
            self._committed[one.topic][one.partition] = offset
        for progress, goals in ((self._replay, committed), (self._to_end, ends)):
            progress.forget(set(self._positions) - set(partitions))
            progress.expect(positions, goals)
        self.owned, self._positions, self._is_lost, self.is_settled = owned, positions, False, True
        self._waiting, self._items_waiting = (self._waiting & owned) | behind, self._items_waiting & owned
        self._group_ends = group_ends
        REBALANCES.inc()
        log.info("partitions assigned owned=%s gained=%s lost=%s", *map(sorted, (owned, gained, lost)))
        return {one: BEGINNING if one.partition in gained else positions[one] for one in partitions}, lost

    def revoke(self, *, is_lost: bool) -> None:
        """Record that other workers may own the partitions until the next assignment.

        Args:
            is_lost: whether the group has given them away without asking this worker.
        """
        self._is_lost, self.is_settled = self._is_lost or is_lost, False

    def is_overtaken(self, consumer: Consumer) -> bool:
        """Return whether the group has committed more of an owned partition than this worker has applied."""
        read = [one for one in self._positions if not self._replay.waits_for(one)]
        ahead = self._owned_by_another(read, consumer.committed(read, ATTEMPT_S))
        ends = consumer.end_offsets(ahead, ATTEMPT_S)  # there is no more where records were lost
        return any(self._positions[one] < end for one, end in ends.items())

    def _owned_by_another(
        self, partitions: Iterable[Partition], committed: Mapping[Partition, int]
    ) -> list[Partition]:
        """Return the partitions that this worker owned before, and another one may have owned meanwhile."""
        kept = [one for one in partitions if one in self._positions]
        return [one for one in kept if self._is_lost or committed[one] > self._positions[one]]

    def _require_expected(self, partitions: Iterable[Partition]) -> None:
        n_expected = len(self._numbers)
        if added := [one for one in partitions if one.partition >= n_expected]:
            name, number = max(added, key=lambda one: one.partition)
            raise TopicError(topics.partitions_text(name, number + 1, n_expected))

    def partitions(self) -> list[Partition]:
        """Return all owned partitions of all topics."""
        return list(self._positions)

    def record_positions(self, consumer: Consumer) -> None:
        """Record the consumer's positions. Call it once the records of a poll, if any, were applied."""
        moved = {}
        for partition, before in self._positions.items():
            position = consumer.position(partition)
            if position is not None and position != before:
                moved[partition] = position
        self._positions |= moved
        self._replay.note(consumer)
        self._to_end.note(consumer)

    def await_the_group(self, consumer: Consumer) -> None:
        """Set the final ends of gained partitions once the group has committed what was there before.

        In the first round misrouted records come to their owners, in the second ratings to `item-ratings`.
        Call it after each commit. It looks only now and then, and only while partitions wait. It tries once,
        and not for long: a rebalance, which may be due meanwhile, is done by the next poll.
        """
        waiting = self._waiting or self._items_waiting
        if not waiting or time.monotonic() - self._looked_at < LOOK_UP_S:
            return
        try:
            self._advance(consumer, waiting)
        except BrokerUnavailableError as reason:  # for now; polls tell when it is for good
            log.info("the ends of the group are not known yet reason=%s", reason)
        self._looked_at = time.monotonic()

    def _advance(self, consumer: Consumer, waiting: frozenset[int]) -> None:
        if self._has_uncommitted(consumer):
            return
        if self._waiting:
            self._expect_ends(consumer, waiting, (self.ratings, self.users))
            self._group_ends = self._ask_group_ends(consumer, ATTEMPT_S)
            self._waiting, self._items_waiting = frozenset(), self._items_waiting | waiting
        else:
            self._expect_ends(consumer, waiting, (self.item_ratings,))
            self._items_waiting = frozenset()

    def _has_uncommitted(self, consumer: Consumer) -> bool:
        """Return whether the group has yet to commit what the partitions held; they may have lost records."""
        committed = consumer.committed(self._group_ends, ATTEMPT_S)
        behind = [one for one, end in self._group_ends.items() if committed[one] < end]
        return any(committed[one] < end for one, end in consumer.end_offsets(behind, ATTEMPT_S).items())

    def _ask_group_ends(self, consumer: Consumer, limit_s: float = math.inf) -> dict[Partition, int]:
        names = (self.ratings, self.users)
        everything = [Partition(name, number) for name in names for number in self._numbers]
        return consumer.end_offsets(everything, limit_s)

    def _expect_ends(self, consumer: Consumer, numbers: frozenset[int], names: Sequence[str]) -> None:
        partitions = [Partition(name, number) for name in names for number in numbers]
        self._to_end.expect(self._positions, consumer.end_offsets(partitions, ATTEMPT_S))

    def are_live(self, records: Sequence[Record]) -> NDArray[np.bool_]:
        """Return which records of one topic are live, (n,)."""
        if not records:
            return np.zeros(0, np.bool_)
        partitions = np.array([record.partition for record in records], np.int64)
        offsets = np.array([record.offset for record in records], np.int64)
        return self.are_live_at(records[0].topic, partitions, offsets)

    def are_live_at(
        self, topic: str, partitions: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which records of one topic are live by their partitions and offsets, (n,)."""
        live: NDArray[np.bool_] = offsets >= self._committed[topic][partitions]
        return live

    def is_live(self, record: Record) -> bool:
        """Return whether a record is live."""
        return record.offset >= int(self._committed[record.topic][record.partition])

    def replaying(self) -> list[Partition]:
        """Return the partitions being replayed. Committing them would move their offsets back."""
        return [one for one in self._positions if self._replay.waits_for(one)]

    def is_replaying_ratings(self, partition: int) -> bool:
        """Return whether `ratings` of a partition are being replayed, so that its users are incomplete."""
        return self._replay.waits_for(Partition(self.ratings, partition))

    def is_replaying_item_ratings(self) -> bool:
        """Return whether any `item-ratings` are being replayed, so that item histories are incomplete."""
        return any(self._replay.waits_for(Partition(self.item_ratings, number)) for number in self.owned)

    def caught_up(self) -> frozenset[int]:
        """Return the owned partitions whose `ratings` and `users` are applied up to their final ends."""
        if self._is_lost:
            return frozenset()
        return frozenset(number for number in self.owned - self._waiting if self._is_read(number))

    def is_caught_up(self) -> bool:
        """Return whether any partition is owned, and all three topics are applied up to their final ends."""
        is_waiting = bool(self._waiting or self._items_waiting or self._is_lost)
        return bool(self.owned) and not is_waiting and self._to_end.is_done()

    def _is_read(self, number: int) -> bool:
        return not any(self._to_end.waits_for(Partition(name, number)) for name in (self.ratings, self.users))


def _numbers(partitions: Iterable[Partition], names: Sequence[str]) -> frozenset[int]:
    by_topic = {name: frozenset(one.partition for one in partitions if one.topic == name) for name in names}
    owned = by_topic[names[0]]
    if any(numbers != owned for numbers in by_topic.values()):
        found = ", ".join(f"{name} {sorted(numbers)}" for name, numbers in by_topic.items())
        raise TopicError(
            f"this worker was assigned different partitions of topics that belong together: {found}; create "
            "them with equal partition counts, and set partition.assignment.strategy=range on every worker"
        )
    return owned
