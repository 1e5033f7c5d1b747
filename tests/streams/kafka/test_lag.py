"""Lag in seconds is right after idle times, and for partitions of which nothing was read."""

import pytest
from prometheus_client import REGISTRY

from streams.kafka import Partition
from streams.kafka.lag import Lag
from tests.streams.messages.records import record

A, B = Partition("t-ratings", 0), Partition("t-ratings", 1)
T0 = 1_700_000_000_000


def read(partition, time_ms):
    return record("{}", topic=partition.topic, partition=partition.partition, timestamp_ms=time_ms)


def test_while_records_are_unread_it_is_the_age_of_the_last_record_read():
    lag = Lag("t-")
    lag.note([read(A, T0 - 9000), read(A, T0 - 5000)])
    assert lag.seconds({A: 3}, [A], T0) == {A: 5}


def test_a_partition_at_its_end_has_no_lag_however_old_its_last_record_is():
    lag = Lag("t-")
    lag.note([read(A, T0 - 10_000_000)])
    assert lag.seconds({A: 0}, [A], T0) == {A: 0}


def test_a_record_after_an_idle_time_lags_since_the_end_was_seen():
    lag = Lag("t-")
    lag.note([read(A, T0 - 10_000_000)])
    lag.seconds({A: 0}, [A], T0)
    assert lag.seconds({A: 1}, [A], T0 + 2000) == {A: 2}


def test_a_partition_of_which_nothing_was_read_lags_since_it_was_assigned():
    lag = Lag("t-")
    assert lag.seconds({A: 0}, [A, B], T0) == {A: 0, B: 0}
    assert lag.seconds({A: 0}, [A, B], T0 + 7000) == {A: 0, B: 7}


def test_a_replay_lags_by_the_age_of_what_it_reads_not_by_the_time_since_the_assignment():
    lag = Lag("t-")
    lag.seconds({}, [A], T0)
    lag.note([read(A, T0 - 3_600_000)])
    assert lag.seconds({A: 100}, [A], T0 + 1000) == {A: 3601}


def test_a_partition_that_went_away_begins_again():
    lag = Lag("t-")
    lag.note([read(A, T0)])
    lag.seconds({A: 5}, [A], T0)
    lag.seconds({}, [], T0)
    assert lag.seconds({}, [A], T0 + 60_000) == {A: 0}


@pytest.mark.parametrize("metric", ["dch_consumer_lag_records", "dch_consumer_lag_seconds"])
def test_gauges_are_those_of_the_assigned_partitions(metric):
    def value(one):
        labels = {"topic": "ratings", "partition": str(one.partition)}
        return REGISTRY.get_sample_value(metric, labels)

    lag = Lag("t-")
    lag.note([read(A, T0 - 4000), read(B, T0)])
    lag.show({A: 4, B: 0}, [A, B], T0)
    assert (value(A), value(B)) == (4, 0)
    lag.show({B: 0}, [B], T0)
    assert (value(A), value(B)) == (None, 0)
