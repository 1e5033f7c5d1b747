"""How many dead letters are retained and how old the oldest is; the oracle counts the records one by one."""

import pytest

from streams.kafka import Partition
from streams.kafka.dead_letter_depth import DeadLetterDepth, Depth
from tests.streams.messages.records import record


class Log:
    """A consumer of partitions that begin at an offset and hold records with these times."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.assigned = {}
        self.n_assignments = 0
        self.is_silent = False

    def beginning_offsets(self, partitions):
        return {one: self.partitions[one][0] for one in partitions}

    def end_offsets(self, partitions):
        return {one: self.partitions[one][0] + len(self.partitions[one][1]) for one in partitions}

    def assign(self, starts):
        self.assigned = dict(starts)
        self.n_assignments += bool(starts)

    def poll(self, timeout_s):
        if self.is_silent:
            return []
        return [
            record("x", topic=one.topic, partition=one.partition, offset=first + at, timestamp_ms=time_ms)
            for one in self.assigned
            for first, times in [self.partitions[one]]
            for at, time_ms in enumerate(times)
        ]


A0, A1, B0 = Partition("a-dlt", 0), Partition("a-dlt", 1), Partition("b-dlt", 0)


@pytest.fixture
def log():
    return Log({A0: (7, [500, 600]), A1: (0, [400]), B0: (3, [])})


def test_records_are_counted_and_the_oldest_is_found_over_all_partitions_of_a_topic(log):
    found = DeadLetterDepth(log).look(log.partitions)
    assert found == {"a-dlt": Depth(3, 400), "b-dlt": Depth(0, None)}


def test_a_first_record_is_read_once(log):
    depth = DeadLetterDepth(log)
    depth.look(log.partitions)
    depth.look(log.partitions)
    assert log.n_assignments == 1


def test_when_the_oldest_expires_the_next_one_is_read(log):
    depth = DeadLetterDepth(log)
    depth.look(log.partitions)
    log.partitions[A1] = (1, [])
    assert depth.look(log.partitions)["a-dlt"] == Depth(2, 500)


def test_a_record_that_does_not_arrive_leaves_the_age_open(log):
    log.is_silent = True
    assert DeadLetterDepth(log).look(log.partitions)["a-dlt"] == Depth(3, None)
