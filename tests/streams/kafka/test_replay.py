"""Progress of a replay up to the target offsets."""

import math

import pytest

from streams.errors import BrokerUnavailableError
from streams.kafka import BEGINNING, Partition
from streams.kafka.replay import ReplayProgress

A, B = Partition("a", 0), Partition("a", 1)


class Reader:
    """A consumer whose positions and ends a test sets by hand."""

    def __init__(self, positions=(), at_end=(), beginnings=(), ends=()):
        self.positions, self.at_end = dict(positions), set(at_end)
        self.beginnings, self.ends = dict(beginnings), dict(ends)
        self.assigned = None

    def position(self, partition):
        return self.positions.get(partition)

    def is_at_end(self, partition):
        return partition in self.at_end

    def beginning_offsets(self, partitions):
        return {one: self.beginnings.get(one, 0) for one in partitions}

    def end_offsets(self, partitions, limit_s=math.inf):
        assert self.assigned is None, "an end looked up after the assignment may be behind the reading"
        return {one: self.ends.get(one, 0) for one in partitions}

    def assign(self, starts):
        self.assigned = dict(starts)


def test_a_replay_is_done_once_every_partition_has_reached_its_target():
    progress = ReplayProgress()
    assert progress.is_done()
    progress.expect({}, {A: 3, B: 1})
    progress.note(Reader({A: 3}))
    assert not progress.is_done()
    assert not progress.waits_for(A)
    assert progress.waits_for(B)
    progress.note(Reader({A: 3, B: 2}))
    assert progress.is_done()


def test_partitions_at_their_target_and_empty_partitions_count_as_done():
    progress = ReplayProgress()
    progress.expect({A: 5}, {A: 5, B: 0})
    assert progress.is_done()


@pytest.mark.parametrize("n_polls", [1, 10_000])
def test_polls_without_records_are_no_progress_however_many_there_are(n_polls):
    progress = ReplayProgress()
    progress.expect({}, {A: 3})
    for _ in range(n_polls):
        progress.note(Reader({A: 2}))
    assert progress.waits_for(A)


def test_a_partition_that_has_lost_its_last_records_is_read_once_its_present_end_is():
    progress = ReplayProgress()
    progress.expect({}, {A: 3, B: 3})
    progress.note(Reader({A: 2, B: 2}, at_end={A}, ends={A: 2, B: 2}))
    assert not progress.waits_for(A)
    assert progress.waits_for(B)


def test_an_end_that_was_read_before_more_was_written_is_not_the_target():
    """A partition was read to its end at 100, and then a pointer is written that must be read."""
    progress = ReplayProgress()
    progress.expect({A: 100}, {A: 101})
    progress.note(Reader({A: 100}, at_end={A}, ends={A: 101}))
    assert progress.waits_for(A)
    progress.note(Reader({A: 101}))
    assert progress.is_done()


def test_an_end_that_nobody_tells_is_not_reached():
    class Silent(Reader):
        def end_offsets(self, partitions, limit_s=math.inf):
            raise BrokerUnavailableError("no broker answered")

    progress = ReplayProgress()
    progress.expect({}, {A: 3})
    progress.note(Silent({A: 2}, at_end={A}))
    assert progress.waits_for(A)


def test_a_forgotten_partition_no_longer_counts():
    progress = ReplayProgress()
    progress.expect({}, {A: 3, B: 3})
    progress.forget([A])
    progress.note(Reader({B: 3}))
    assert progress.is_done()


def test_a_replay_begins_at_the_first_retained_record_and_ends_at_the_end_before_the_assignment():
    reader, progress = Reader(beginnings={A: 7}, ends={A: 7, B: 5}), ReplayProgress()
    progress.begin(reader, {A: BEGINNING, B: 4})
    assert reader.assigned == {A: BEGINNING, B: 4}
    assert not progress.waits_for(A)
    assert progress.waits_for(B)
