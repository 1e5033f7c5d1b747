"""Progress of a replay up to the target offsets."""

from streams.kafka import Partition
from streams.kafka.replay import QUIET_S, ReplayProgress

A, B = Partition("a", 0), Partition("a", 1)


def replay():
    clock = [0.0]
    return ReplayProgress(now=lambda: clock[0]), clock


def test_a_replay_is_done_once_every_partition_has_reached_its_target():
    progress, _ = replay()
    assert progress.is_done()
    progress.expect({}, {A: 3, B: 1})
    progress.note({A: 3})
    assert not progress.is_done()
    assert not progress.waits_for(A)
    assert progress.waits_for(B)
    progress.note({B: 2})
    assert progress.is_done()


def test_partitions_at_their_target_and_empty_partitions_count_as_done():
    progress, _ = replay()
    progress.expect({A: 5}, {A: 5, B: 0})
    assert progress.is_done()


def test_an_end_without_a_record_counts_as_reached_after_a_quiet_period():
    progress, clock = replay()
    progress.expect({}, {A: 3})
    clock[0] = QUIET_S
    progress.note({A: 2})
    clock[0] = 2 * QUIET_S
    progress.note({})
    assert not progress.is_done()
    clock[0] = 2 * QUIET_S + 0.1
    progress.note({})
    assert progress.is_done()


def test_a_forgotten_partition_no_longer_counts():
    progress, _ = replay()
    progress.expect({}, {A: 3, B: 3})
    progress.forget([A])
    progress.note({B: 3})
    assert progress.is_done()
