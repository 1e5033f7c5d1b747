"""Progress of a replay up to the target offsets."""

import pytest

from streams.kafka import BEGINNING, Partition
from streams.kafka.replay import ReplayProgress

A, B = Partition("a", 0), Partition("a", 1)


class Reader:
    """A consumer whose positions and ends a test sets by hand."""

    def __init__(self, positions=(), ended=(), beginnings=(), ends=()):
        self.positions, self.ended = dict(positions), set(ended)
        self.beginnings, self.ends = dict(beginnings), dict(ends)
        self.assigned = None

    def position(self, partition):
        return self.positions.get(partition)

    def has_ended(self, partition):
        return partition in self.ended

    def beginning_offsets(self, partitions):
        return {one: self.beginnings.get(one, 0) for one in partitions}

    def end_offsets(self, partitions):
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


def test_the_end_of_a_partition_counts_as_reached_for_this_partition_alone():
    progress = ReplayProgress()
    progress.expect({}, {A: 3, B: 3})
    progress.note(Reader({A: 2, B: 2}, ended={A}))
    assert not progress.waits_for(A)
    assert progress.waits_for(B)


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
