"""A consumer that pauses partitions reads nothing of them, and misses nothing of them later."""

import pytest

from streams.kafka import BEGINNING, Consumer, Partition
from tests.streams.brokers import eventually
from tests.streams.kafka.test_positions import read, send, topic

__all__ = ["topic"]
N = 300


@pytest.fixture
def consumer(settings):
    found = Consumer(settings, group=settings.prefix + "reader", start="earliest", max_records=10, fill_s=0)
    yield found
    found.close()


@pytest.fixture
def places(settings, topic):
    found = Partition(topic, 0), Partition(topic, 1)
    send(settings, topic, N)
    send(settings, topic, 50, partition=1)
    return found


def offsets(records, place):
    return [record.offset for record in records if record.partition == place.partition]


def test_nothing_is_read_of_a_paused_partition_and_each_record_once_afterwards(
    settings, topic, consumer, places
):
    first, other = places
    consumer.assign(dict.fromkeys(places, BEGINNING))
    before = read(consumer, lambda: consumer.position(first) is not None)
    consumer.pause([first])
    stopped_at = consumer.position(first)
    assert stopped_at < N
    meanwhile = read(consumer, lambda: consumer.position(other) == 50)
    send(settings, topic, 20, partition=1)
    meanwhile += read(consumer, lambda: consumer.position(other) == 70)
    assert offsets(meanwhile, first) == []
    assert consumer.position(first) == stopped_at
    assert not consumer.is_at_end(first)
    consumer.pause([])
    after = read(consumer, lambda: consumer.position(first) == N)
    assert offsets(before + meanwhile + after, first) == list(range(N))
    assert offsets(before + meanwhile + after, other) == list(range(70))


def test_a_pause_ends_with_the_next_assignment(consumer, places):
    first, other = places
    consumer.assign(dict.fromkeys(places, BEGINNING))
    for starts in ({first: 7, other: BEGINNING}, {other: 0}, {first: 9}):
        consumer.pause(places)
        consumer.assign(starts)
        assert places[0] not in starts or offsets(
            read(consumer, lambda: consumer.position(first) == N), first
        ) == list(range(starts[first], N))


def test_a_member_that_has_paused_reads_on_after_a_rebalance_and_the_group_misses_nothing(
    settings, topic, places
):
    found, assigned = {"first": [], "second": []}, {}

    def member(name):
        one = Consumer(settings, group=settings.prefix + "group", start="earliest", max_records=10, fill_s=0)
        one.subscribe([topic], on_assign=lambda partitions: assigned.__setitem__(name, partitions) or {})
        return one

    first = member("first")
    found["first"] += read(first, lambda: len(assigned.get("first", ())) == 2)
    first.pause(places)
    second = member("second")

    def have_read_all():
        for name, one in (("first", first), ("second", second)):
            found[name] += one.poll(0.05)
        records = found["first"] + found["second"]
        return len(assigned["first"]) == 1 and all(
            set(offsets(records, place)) == set(range(n)) for place, n in zip(places, (N, 50), strict=True)
        )

    eventually(have_read_all, 60)
    first.close()
    second.close()
