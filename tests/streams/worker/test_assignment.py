"""The share of one worker: what is live, what is replayed, what was lost and gained."""

import numpy as np
import pytest

from streams.errors import TopicError
from streams.kafka import BEGINNING, Partition
from streams.settings import WorkerSettings
from streams.worker.assignment import Share

SETTINGS = WorkerSettings(partitions=3)
NAMES = ("ratings", "users", "item-ratings")


class Log:
    """What a share asks a consumer about."""

    def __init__(self, committed=(), ends=(), positions=()):
        self.found = {"committed": dict(committed), "ends": dict(ends), "positions": dict(positions)}

    def committed(self, places):
        return {place: self.found["committed"].get(place, 0) for place in places}

    def ends(self, places):
        return {place: self.found["ends"].get(place, 0) for place in places}

    def starts(self, places):
        return dict.fromkeys(places, 0)

    def position(self, place):
        return self.found["positions"].get(place)


def places(*numbers):
    return [Partition(name, number) for name in NAMES for number in numbers]


RATINGS_0 = Partition("ratings", 0)
ITEMS_0 = Partition("item-ratings", 0)


def test_new_partitions_are_read_from_the_beginning_and_live_from_the_committed_offset():
    share = Share(SETTINGS)
    starts, lost = share.take(Log({RATINGS_0: 5}, {RATINGS_0: 9}), places(0, 1))
    assert set(starts.values()) == {BEGINNING}
    assert lost == frozenset()
    live = share.is_live("ratings", [0, 0, 1], np.array([4, 5, 0]))
    assert live.tolist() == [False, True, True]
    assert share.replaying() == [RATINGS_0]
    assert share.replays_ratings(0)
    assert not share.replays_ratings(1)
    assert share.caught_up() == {1}
    share.note(Log(positions={RATINGS_0: 5}))
    assert share.replaying() == []
    assert share.caught_up() == {1}
    share.note(Log(positions={RATINGS_0: 9}))
    assert share.caught_up() == {0, 1}


def test_item_codes_wait_for_the_replay_of_item_ratings():
    share = Share(SETTINGS)
    share.take(Log({ITEMS_0: 2}, {ITEMS_0: 2}), places(0))
    assert share.replays_items()
    share.note(Log(positions={ITEMS_0: 2}))
    assert not share.replays_items()


def test_after_a_rebalance_what_was_ours_goes_on_where_it_is():
    share = Share(SETTINGS)
    share.take(Log(), places(0, 1))
    share.note(Log(positions={RATINGS_0: 7}))
    starts, lost = share.take(Log({RATINGS_0: 7}, {RATINGS_0: 7}), places(0, 2))
    assert starts[RATINGS_0] == 7
    assert starts[Partition("ratings", 2)] == BEGINNING
    assert lost == {1}
    assert share.owned == {0, 2}
    assert share.caught_up() == {0, 2}


def test_partitions_that_do_not_belong_together_are_refused():
    with pytest.raises(TopicError, match="range"):
        Share(SETTINGS).take(Log(), [RATINGS_0, Partition("users", 1), ITEMS_0])
