"""Whether reading has come to where the end was."""

from streams.kafka import Partition
from streams.kafka.replay import QUIET_S, ReplayProgress

A, B = Partition("a", 0), Partition("a", 1)


def catch_up():
    clock = [0.0]
    return ReplayProgress(now=lambda: clock[0]), clock


def test_it_is_done_once_every_partition_is_read_to_its_end():
    found, _ = catch_up()
    assert found.is_done()
    found.expect({}, {A: 3, B: 1})
    found.note({A: 3})
    assert not found.is_done()
    assert not found.waits_for(A)
    assert found.waits_for(B)
    found.note({B: 2})
    assert found.is_done()


def test_what_is_read_already_or_empty_is_not_waited_for():
    found, _ = catch_up()
    found.expect({A: 5}, {A: 5, B: 0})
    assert found.is_done()


def test_an_end_that_shows_no_record_is_given_up_when_nothing_more_comes():
    found, clock = catch_up()
    found.expect({}, {A: 3})
    clock[0] = QUIET_S
    found.note({A: 2})
    clock[0] = 2 * QUIET_S
    found.note({})
    assert not found.is_done()
    clock[0] = 2 * QUIET_S + 0.1
    found.note({})
    assert found.is_done()


def test_a_partition_that_is_not_ours_any_more_is_not_waited_for():
    found, _ = catch_up()
    found.expect({}, {A: 3, B: 3})
    found.forget([A])
    found.note({B: 3})
    assert found.is_done()
