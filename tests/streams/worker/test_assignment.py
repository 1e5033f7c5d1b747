"""The assignment of a worker: which records are live, what is replayed, what is gained and lost."""

import math

import pytest

from streams.errors import BrokerUnavailableError, TopicError
from streams.kafka import BEGINNING, Partition
from streams.kafka.records import Record
from streams.settings import WorkerSettings
from streams.worker import assignment as module
from streams.worker.assignment import Assignment

SETTINGS = WorkerSettings(partitions=3)
NAMES = ("ratings", "users", "item-ratings")


class Log:
    """A consumer whose offsets and positions a test sets by hand."""

    def __init__(self, committed=(), ends=(), positions=()):
        self.found = {"committed": dict(committed), "ends": dict(ends), "positions": dict(positions)}

    def committed(self, partitions, limit_s=math.inf):
        return {one: self.found["committed"].get(one, 0) for one in partitions}

    def committed_within(self, partitions):
        found, ends = self.committed(partitions), self.found["ends"]
        return {one: min(offset, ends.get(one, offset)) for one, offset in found.items()}

    def end_offsets(self, partitions, limit_s=math.inf):
        return {one: self.found["ends"].get(one, 0) for one in partitions}

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    def position(self, partition):
        return self.found["positions"].get(partition)

    def is_at_end(self, partition):
        return False


def partitions(*numbers):
    return [Partition(name, number) for name in NAMES for number in numbers]


RATINGS_0 = Partition("ratings", 0)
ITEMS_0 = Partition("item-ratings", 0)


def test_new_partitions_are_read_from_the_beginning_and_live_from_the_committed_offset():
    assignment = Assignment(SETTINGS)
    starts, lost = assignment.update(Log({RATINGS_0: 5}, {RATINGS_0: 9}), partitions(0, 1))
    assert set(starts.values()) == {BEGINNING}
    assert lost == frozenset()
    records = [Record("ratings", at, offset, None, None, 0) for at, offset in ((0, 4), (0, 5), (1, 0))]
    assert assignment.are_live(records).tolist() == [False, True, True]
    assert [assignment.is_live(record) for record in records] == [False, True, True]
    assert assignment.replaying() == [RATINGS_0]
    assert assignment.is_replaying_ratings(0)
    assert not assignment.is_replaying_ratings(1)
    assert assignment.caught_up() == set()
    assignment.record_positions(Log(positions={RATINGS_0: 5}))
    assert assignment.replaying() == []
    assert assignment.caught_up() == set()
    assignment.record_positions(log := Log({RATINGS_0: 9}, {RATINGS_0: 9}, positions={RATINGS_0: 9}))
    assignment.await_the_group(log)
    assert assignment.caught_up() == {0, 1}


def test_a_gained_partition_waits_until_the_group_has_committed_what_may_be_misrouted(
    monkeypatch,
):
    monkeypatch.setattr(module, "LOOK_UP_S", 0.0)
    elsewhere = Partition("ratings", 2)
    assignment = Assignment(SETTINGS)
    assignment.update(Log({elsewhere: 3}, {RATINGS_0: 2, elsewhere: 5}), partitions(0, 1))
    assignment.record_positions(Log(positions={RATINGS_0: 2}))
    assignment.await_the_group(Log({RATINGS_0: 2, elsewhere: 4}, {RATINGS_0: 2, elsewhere: 9}))
    assert assignment.caught_up() == set()  # the owner of partition 2 has not come to offset 5
    assignment.await_the_group(Log({RATINGS_0: 2, elsewhere: 5}, {RATINGS_0: 3, elsewhere: 9}))
    assert assignment.caught_up() == {1}  # it repartitioned a record to our partition 0
    assignment.record_positions(Log(positions={RATINGS_0: 3}))
    assert assignment.caught_up() == {0, 1}
    assert not assignment.is_caught_up()  # its rating may not be on item-ratings yet
    assignment.await_the_group(Log({RATINGS_0: 3, elsewhere: 9}, {RATINGS_0: 3, elsewhere: 9, ITEMS_0: 1}))
    assert not assignment.is_caught_up()
    assignment.record_positions(Log(positions={ITEMS_0: 1}))
    assert assignment.is_caught_up()


def test_a_gained_partition_does_not_wait_for_records_that_the_broker_has_lost():
    assignment = Assignment(SETTINGS)
    elsewhere = Partition("ratings", 2)
    assignment.update(Log({elsewhere: 3}, {elsewhere: 5}), partitions(0, 1))
    assignment.await_the_group(Log({elsewhere: 3}, {elsewhere: 3}))  # a new leader without the last two
    assert assignment.caught_up() == {0, 1}


def test_what_stays_ours_after_a_rebalance_stays_caught_up_though_it_is_behind_by_now():
    assignment = Assignment(SETTINGS)
    assignment.update(Log(), partitions(0, 1))
    assignment.await_the_group(Log())
    assignment.update(Log(ends={RATINGS_0: 7}), partitions(0))
    assert assignment.caught_up() == {0}
    assignment.update(Log(ends={RATINGS_0: 7, Partition("ratings", 1): 7}), partitions(0, 1))
    assert assignment.caught_up() == {0}  # of partition 1 nothing is known any more


def applied_to_7(**found):
    """Return an assignment that has applied one partition up to offset 7, and what is found of it later."""
    assignment = Assignment(SETTINGS)
    assignment.update(Log(), partitions(0, 1))
    assignment.await_the_group(Log())
    assignment.record_positions(Log(positions={RATINGS_0: 7}))
    assert assignment.caught_up() == {0, 1}
    return assignment, Log({RATINGS_0: found["committed"]}, {RATINGS_0: found["end"]})


def test_partitions_that_were_lost_are_read_to_their_ends_before_they_are_caught_up_again(monkeypatch):
    monkeypatch.setattr(module, "LOOK_UP_S", 0.0)
    assignment, log = applied_to_7(committed=7, end=9)
    assignment.revoke(is_lost=True)
    assert assignment.caught_up() == set()
    assert not assignment.is_caught_up()
    starts, lost = assignment.update(log, partitions(0, 1))
    assert (starts[RATINGS_0], lost) == (7, frozenset())
    assert assignment.caught_up() == set()
    assignment.record_positions(log := Log({RATINGS_0: 9}, {RATINGS_0: 9}, {RATINGS_0: 9}))
    assignment.await_the_group(log)
    assert assignment.caught_up() == {0, 1}


def test_a_kept_partition_of_which_another_worker_has_committed_more_is_read_to_its_end():
    assignment, log = applied_to_7(committed=8, end=9)
    assignment.revoke(is_lost=False)
    assert assignment.caught_up() == {0, 1}  # an ordinary rebalance keeps what it can
    assert assignment.is_overtaken(log)
    assignment.update(log, partitions(0, 1))
    assert assignment.caught_up() == {1}
    record = Record("ratings", 0, 7, None, None, 0)
    assert not assignment.is_live(record)  # the other worker has written what follows from it
    assert not assignment.is_overtaken(log)  # it is being replayed


def test_nothing_was_missed_where_the_committed_offset_is_beyond_the_end():
    assignment, log = applied_to_7(committed=8, end=7)
    assert not assignment.is_overtaken(log)


def test_a_worker_whose_records_are_all_its_own_is_not_overtaken():
    assignment, log = applied_to_7(committed=7, end=9)
    assert not assignment.is_overtaken(log)


def test_records_before_a_committed_offset_beyond_the_end_are_live():
    assignment = Assignment(SETTINGS)
    assignment.update(Log({RATINGS_0: 100}, {RATINGS_0: 5}), partitions(0))
    records = [Record("ratings", 0, offset, None, None, 0) for offset in (4, 5, 99)]
    assert assignment.are_live(records).tolist() == [False, True, True]


def test_item_codes_wait_for_the_replay_of_item_ratings():
    assignment = Assignment(SETTINGS)
    assignment.update(Log({ITEMS_0: 2}, {ITEMS_0: 2}), partitions(0))
    assert assignment.is_replaying_item_ratings()
    assignment.record_positions(Log(positions={ITEMS_0: 2}))
    assert not assignment.is_replaying_item_ratings()


def test_partitions_that_stay_ours_after_a_rebalance_are_read_on_from_their_positions():
    assignment = Assignment(SETTINGS)
    assignment.update(Log(), partitions(0, 1))
    assignment.record_positions(Log(positions={RATINGS_0: 7}))
    log = Log({RATINGS_0: 7}, {RATINGS_0: 7})
    starts, lost = assignment.update(log, partitions(0, 2))
    assignment.await_the_group(log)
    assert starts[RATINGS_0] == 7
    assert starts[Partition("ratings", 2)] == BEGINNING
    assert lost == {1}
    assert assignment.owned == {0, 2}
    assert assignment.caught_up() == {0, 2}


class Failing(Log):
    """A consumer of which one lookup fails, once."""

    def __init__(self, n_before, **found):
        super().__init__(**found)
        self.n_before = n_before

    def count(self):
        self.n_before -= 1
        if self.n_before == -1:
            raise BrokerUnavailableError("no broker answered for 30 s")

    def committed(self, partitions, limit_s=math.inf):
        self.count()
        return super().committed(partitions, limit_s)

    def end_offsets(self, partitions, limit_s=math.inf):
        self.count()
        return super().end_offsets(partitions, limit_s)

    def beginning_offsets(self, partitions):
        self.count()
        return super().beginning_offsets(partitions)


def updated(n_before, *, fails):
    """Return what an update says that loses partition 0 and gains 2, tried again if its lookup n fails."""
    assignment = Assignment(SETTINGS)
    assignment.update(Log(), partitions(0, 1))
    log = Failing(n_before, committed={Partition("ratings", 2): 3}, ends={Partition("ratings", 2): 5})
    if fails:
        with pytest.raises(BrokerUnavailableError):
            assignment.update(log, partitions(1, 2))
    found = assignment.update(log, partitions(1, 2))
    assert log.n_before < -1 or not fails
    return found, assignment.owned, assignment.replaying(), assignment.caught_up()


@pytest.mark.parametrize("n_before", range(4))
def test_an_update_of_which_a_lookup_fails_has_changed_nothing(n_before):
    assert updated(n_before, fails=True) == updated(math.inf, fails=False)


def test_partitions_that_were_added_while_the_worker_runs_are_refused_as_at_its_start():
    with pytest.raises(TopicError, match="has 6 partitions, expected 3; set --partitions 6"):
        Assignment(SETTINGS).update(Log(), partitions(*range(6)))


def test_partitions_that_do_not_belong_together_are_refused():
    with pytest.raises(TopicError, match="range"):
        Assignment(SETTINGS).update(Log(), [RATINGS_0, Partition("users", 1), ITEMS_0])
