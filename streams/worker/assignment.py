"""The share of the log that one worker owns: which partitions, how far applied, how far committed.

Partition p of `ratings`, `users` and `item-ratings` belong together: a worker owns all three or none. State
is rebuilt from the beginning of the log; what lies before the committed offset was acted upon by some worker
already, so it is applied again but not passed on again.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from streams import topics
from streams.errors import TopicError
from streams.kafka import BEGINNING, Consumer, Partition, Starts
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.metrics import REBALANCES
from streams.settings import WorkerSettings

log = logging.getLogger("streams.worker")

SHARED = (topics.RATINGS, topics.USERS, topics.ITEM_RATINGS)


class Share:
    """Partitions of the group's topics that are ours. Only the ingest thread uses it."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.names = [settings.topic(topic.name) for topic in SHARED]
        self.ratings, self.users, self.item_ratings = self.names
        self.owned: frozenset[int] = frozenset()
        self.applied: dict[Partition, int] = {}
        self.replay = ReplayProgress()  # up to the committed offsets
        self.catch_up = ReplayProgress()  # up to the ends at the moment the partitions became ours
        self._committed = {name: np.zeros(settings.partitions, np.int64) for name in self.names}

    def take(self, consumer: Consumer, places: list[Partition]) -> tuple[Starts, frozenset[int]]:
        """Make these partitions ours, instead of those before.

        Returns:
            Where to begin in each: at the beginning, or where we are when it was ours before. And the numbers
            of the partitions that were ours and are not any more.
        """
        owned = _numbers(places, self.names)
        lost, gained = self.owned - owned, owned - self.owned
        committed, ends = consumer.committed(places), consumer.ends(places)
        beginnings = consumer.starts(place for place in places if place.partition in gained)
        positions = {place: beginnings.get(place, self.applied.get(place, 0)) for place in places}
        for place, offset in committed.items():
            self._committed[place.topic][place.partition] = offset
        for progress, goals in ((self.replay, committed), (self.catch_up, ends)):
            progress.forget(set(self.applied) - set(places))
            progress.expect(positions, goals)
        self.owned, self.applied = owned, positions
        REBALANCES.inc()
        log.info("partitions assigned owned=%s gained=%s lost=%s", *map(sorted, (owned, gained, lost)))
        return {place: BEGINNING if place.partition in gained else positions[place] for place in places}, lost

    def note(self, consumer: Consumer) -> None:
        """Take note of where reading is, after the records of a poll were applied."""
        moved = {}
        for place, before in self.applied.items():
            position = consumer.position(place)
            if position is not None and position != before:
                moved[place] = position
        self.applied |= moved
        self.replay.note(moved)
        self.catch_up.note(moved)

    def is_live(
        self, topic: str, partitions: NDArray[np.int64] | Sequence[int], offsets: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell which records no worker has acted upon yet, (n,)."""
        live: NDArray[np.bool_] = offsets >= self._committed[topic][np.asarray(partitions, np.int64)]
        return live

    def is_live_record(self, record: Record) -> bool:
        """Tell whether no worker has acted upon a record yet."""
        return record.offset >= int(self._committed[record.topic][record.partition])

    def replaying(self) -> list[Partition]:
        """Return the partitions whose offsets must not be committed: they would go back."""
        return [place for place in self.applied if self.replay.waits_for(place)]

    def replays_ratings(self, partition: int) -> bool:
        """Say whether some ratings of a partition's users are still unknown to us, though known before."""
        return self.replay.waits_for(Partition(self.ratings, partition))

    def replays_items(self) -> bool:
        """Say whether some item's history is still incomplete, so that its code would be a worse one."""
        return any(self.replay.waits_for(Partition(self.item_ratings, number)) for number in self.owned)

    def caught_up(self) -> frozenset[int]:
        """Return the partitions whose users' state is complete."""
        return frozenset(
            number
            for number in self.owned
            if not any(
                self.catch_up.waits_for(Partition(name, number)) for name in (self.ratings, self.users)
            )
        )


def _numbers(places: Iterable[Partition], names: Sequence[str]) -> frozenset[int]:
    by_topic = {name: frozenset(at.partition for at in places if at.topic == name) for name in names}
    owned = by_topic[names[0]]
    if any(found != owned for found in by_topic.values()):
        told = ", ".join(f"{name} {sorted(found)}" for name, found in by_topic.items())
        raise TopicError(
            f"the group gave us different partitions of topics that belong together: {told}; give them as "
            "many partitions, and set partition.assignment.strategy=range on every worker"
        )
    return owned
