"""A request is answered from the complete state of its user, or waits, and holds up no other partition."""

import json
import threading

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka import BEGINNING, Partition
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import decode_reply
from streams.settings import WorkerSettings
from streams.worker import requests as module
from streams.worker.context import WorkerContext
from streams.worker.requests import Requests
from streams.worker.standstill import Standstill

SETTINGS = WorkerSettings(partitions=2)
USERS = {partition_for(user.encode(), 2): user for user in map("u{}".format, range(20))}
"""A user of each partition."""


class Consumer:
    """A log of requests that is read like a consumer's, by one partition or more."""

    def __init__(self, log):
        self.log, self.next, self.applied = log, {}, {}

    def committed(self, partitions):
        return dict.fromkeys(partitions, 1)  # the log begins at offset 1

    def committed_within(self, partitions):
        return self.committed(partitions)

    def end_offsets(self, partitions):
        return {one: len(self.log[one]) + 1 for one in partitions}

    def position(self, partition):
        return self.next.get(partition)

    def assign(self, starts):
        self.next = dict(starts)

    def poll(self, timeout_s=0.0):
        found = [self.log[one][at - 1] for one, start in self.next.items() for at in self.later(one, start)]
        self.next = {one: len(self.log[one]) + 1 for one in self.next}
        return found

    def later(self, one, start):
        return range(start, len(self.log[one]) + 1)

    def mark_applied(self, *, skip, waiting):
        self.applied |= {
            one: min(offset, waiting.get(one, offset)) for one, offset in self.next.items() if one not in skip
        }

    def commit(self, *, skip=()):
        pass


class Replies:
    """Keeps what was sent."""

    n_waiting = 0

    def __init__(self):
        self.sent = []

    def send(self, output):
        self.sent.append(output)

    def flush(self):
        pass

    poll = flush


class World:
    """The requests thread of a worker that owns both partitions, without its loop."""

    def __init__(self, monkeypatch, log):
        self.context = WorkerContext(SETTINGS, threading.Event())
        self.now_s = 0.0
        self.context.standstill = Standstill(SETTINGS, now=lambda: self.now_s)
        self.context.recommender = Recommender(random_model())
        for user in USERS.values():
            self.context.recommender.fold_in(user, "i1", 5.0, 1)
        self.context.caught_up = frozenset({0, 1})
        places = [Partition("requests", number) for number in (0, 1)]
        self.consumer = Consumer({place: log.get(place.partition, []) for place in places})
        self.replies, self.letters = Replies(), Replies()
        self.requests = Requests(self.context, self.consumer, self.replies, self.letters)
        self.meanwhile = []
        original = module.replies_to

        def replies_to(*args):
            if self.meanwhile:
                self.meanwhile.pop(0)()
            return original(*args)

        monkeypatch.setattr(module, "replies_to", replies_to)

    def turn(self):
        """Do what the loop of the thread does once."""
        answerable = self.context.answerable
        if self.requests._put_off or self.context.serving != answerable:
            self.requests._read(answerable)
        self.requests._answer_all(self.consumer.poll())

    def lose(self, number):
        """Lose a partition, as ingest does in a rebalance."""
        self.context.caught_up = self.context.caught_up - {number}
        self.context.recommender.state.release_users([USERS[number]])

    def gain(self, number):
        """Gain a partition, with its users read again."""
        self.context.recommender.fold_in(USERS[number], "i1", 5.0, 1)
        self.context.caught_up = self.context.caught_up | {number}

    def answers(self):
        return [
            (reply.user, reply.ratings) for reply in (decode_reply(one.value) for one in self.replies.sent)
        ]


def request(partition, offset, user=None, headers=(), **fields):
    value = json.dumps({"user": user or USERS[partition], "k": 3} | fields).encode()
    return Record("requests", partition, offset, b"k", value, 1, list(headers))


@pytest.fixture
def world(monkeypatch):
    log = {number: [request(number, at) for at in (1, 2)] for number in (0, 1)}
    return World(monkeypatch, log)


def test_all_requests_are_answered_once_from_complete_state(world):
    world.turn()
    world.turn()
    assert sorted(world.answers()) == sorted([(user, 1) for user in USERS.values() for _ in range(2)])


def test_a_request_whose_partition_is_lost_meanwhile_is_left_to_the_next_owner(world):
    world.meanwhile = [lambda: world.lose(0)]
    world.turn()
    assert world.answers() == [(USERS[1], 1)] * 2  # the other partition is not held up
    world.turn()
    assert world.context.serving == {1}
    assert world.consumer.applied == {Partition("requests", 1): 3}  # nothing of partition 0 is committed
    assert world.answers() == [(USERS[1], 1)] * 2


def test_after_a_standstill_nothing_is_answered_until_the_membership_is_certain(world):
    def stand_still():
        world.now_s += 60

    world.meanwhile = [stand_still]  # a list is made, and then the process is stopped for a minute
    world.turn()
    world.turn()
    assert world.answers() == []
    assert world.context.serving == set()
    assert not any(applied > 1 for applied in world.consumer.applied.values())
    world.context.standstill.settle(world.context.standstill.count)
    world.turn()
    assert sorted(world.answers()) == sorted([(user, 1) for user in USERS.values() for _ in range(2)])


def test_a_request_is_answered_when_its_partition_is_back(world):
    world.meanwhile = [lambda: world.lose(0), lambda: world.gain(0)]
    for _ in range(3):
        world.turn()
    assert sorted(world.answers()) == sorted([(user, 1) for user in USERS.values() for _ in range(2)])
    assert set(world.consumer.applied.values()) == {3}


def test_a_request_of_a_partition_that_is_not_caught_up_waits_and_keeps_its_order(world):
    world.context.caught_up = frozenset({1})
    world.turn()
    assert world.answers() == [(USERS[1], 1)] * 2
    world.context.caught_up = frozenset({0, 1})
    world.turn()
    assert world.answers()[2:] == [(USERS[0], 1)] * 2


def test_a_misrouted_request_is_repartitioned_unless_its_owner_is_caught_up_here(monkeypatch):
    world = World(monkeypatch, {1: [request(1, 1, USERS[0])]})
    world.turn()
    assert world.answers() == [(USERS[0], 1)]
    world = World(monkeypatch, {1: [request(1, 1, USERS[0])]})
    world.context.caught_up = frozenset({1})
    world.turn()
    assert world.answers() == []
    assert [(one.topic, one.partition) for one in world.letters.sent] == [("requests", 0)]


def test_a_misrouted_request_whose_owner_is_lost_meanwhile_is_repartitioned(monkeypatch):
    world = World(monkeypatch, {1: [request(1, 1, USERS[0])]})
    world.meanwhile = [lambda: world.lose(0)]
    world.turn()
    assert world.answers() == []
    assert [(one.topic, one.partition) for one in world.letters.sent] == [("requests", 0)]


def test_a_request_repartitioned_to_a_wrong_partition_gets_an_error_and_becomes_a_dead_letter(monkeypatch):
    headers = [("dch-forwarded", b"requests[0]@7")]
    world = World(monkeypatch, {1: [request(1, 1, USERS[0], headers)]})
    world.context.caught_up = frozenset({1})
    world.turn()
    (reply,) = world.replies.sent
    assert "partition 0 owns the user" in decode_reply(reply.value).error
    assert [one.topic for one in world.letters.sent] == ["requests-dlt"]


def test_a_request_whose_deadline_has_passed_does_not_wait(monkeypatch):
    world = World(monkeypatch, {0: [request(0, 1, deadline=1)]})
    world.meanwhile = [lambda: world.lose(0)]
    world.turn()
    assert world.answers() == []
    assert world.consumer.applied[Partition("requests", 0)] == 2


def test_requests_for_items_do_not_depend_on_users(monkeypatch):
    value = json.dumps({"history": [{"item": "i1", "rating": 5}]}).encode()
    world = World(monkeypatch, {0: [Record("requests", 0, 1, None, value, 1)]})
    world.turn()
    assert world.answers() == [(None, 1)]


class Offsets(Consumer):
    """A consumer of empty partitions with given ends and committed offsets."""

    def __init__(self, ends, committed):
        super().__init__({Partition("requests", number): [] for number in ends})
        self.ends, self.of_group = ends, committed

    def committed(self, partitions):
        return {one: self.of_group.get(one.partition, -1) for one in partitions}

    def end_offsets(self, partitions):
        return {one: self.ends[one.partition] for one in partitions}


def starts(consumer, *caught_up):
    """Return where partitions are read from once the worker has caught up with these sets in turn."""
    context = WorkerContext(SETTINGS, threading.Event())
    requests = Requests(context, consumer, Replies(), Replies())
    for numbers in caught_up:
        requests._read(frozenset(numbers))
    return {one.partition: start for one, start in consumer.next.items()}


def test_a_new_group_begins_at_the_ends_also_where_an_end_is_0():
    assert starts(Offsets({0: 0, 1: 7}, {}), {0}, {0, 1}) == {0: 0, 1: 7}


def test_in_an_older_group_a_partition_of_which_no_request_was_answered_is_read_from_the_beginning():
    assert starts(Offsets({0: 5, 1: 7}, {0: 3}), {0, 1}) == {0: 3, 1: BEGINNING}


def test_the_beginning_counts_as_committed_once_an_empty_partition_was_read():
    consumer = Offsets({0: 4}, {0: 0})  # four requests came and were put off
    assert starts(consumer, {0}) == {0: 0}


@pytest.mark.parametrize("put_off", [{}, {Partition("requests", 0): 6}])
def test_of_a_partition_that_has_lost_its_last_requests_those_to_come_are_read(put_off):
    consumer = Offsets({0: 7, 1: 7}, {0: 7, 1: 6})
    requests = Requests(WorkerContext(SETTINGS, threading.Event()), consumer, Replies(), Replies())
    requests._read(frozenset({0}))
    consumer.ends[0] = consumer.of_group[0] = 4
    requests._put_off = dict(put_off)
    requests._read(frozenset({0, 1}))
    assert consumer.next == {Partition("requests", 0): 4, Partition("requests", 1): 6}
