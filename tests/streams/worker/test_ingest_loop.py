"""The ingest thread, on a log that a test advances by hand."""

import threading

from random_models import random_model

from dch.recommender import Recommender
from streams.kafka import Partition
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import ModelPointer, RatingEvent, encode_rating
from streams.messages.item_ratings import ItemRatings, decode_item_ratings, encode_item_ratings, joined
from streams.settings import WorkerSettings
from streams.worker.context import FetchedModel, WorkerContext
from streams.worker.ingest_loop import Ingest
from streams.worker.standstill import Standstill
from tests.streams.worker.test_assignment import Log, partitions

T = 1_700_000_000_000
SETTINGS = WorkerSettings(partitions=3)
USERS_0, RATINGS_0 = Partition("users", 0), Partition("ratings", 0)
USER = next(name for name in map(str, range(99)) if partition_for(name.encode(), 3) == 0)


class Clients(Log):
    """A consumer and a producer in one. Keeps what was sent, and what each poll left unapplied."""

    def __init__(self, committed):
        super().__init__(committed)
        self.sent, self.left_out, self.is_member, self.paused = [], [], True, set()

    def move(self, partition, position):
        self.found["positions"][partition] = position

    def mark_applied(self, skip=()):
        self.left_out.append(set(skip))

    def commit(self, skip=()):
        pass

    def pause(self, partitions):
        self.paused = set(partitions)

    def send(self, output):
        self.sent.append(output)

    def flush(self):
        pass

    def lag(self):
        return {}

    def confirm_membership(self):
        return self.is_member


def ingest_on(clients):
    model = random_model()
    pointer = ModelPointer(
        generation=1, location="somewhere", sha256="0" * 64, watermarks={}, trained_at=0, metrics={}
    )
    context = WorkerContext(SETTINGS, threading.Event())
    return Ingest(context, Recommender(model), FetchedModel(model, pointer, 0.0), clients, clients)


def record(partition, offset, value):
    return Record(partition.topic, partition.partition, offset, USER.encode(), value, timestamp_ms=T + 9)


def test_a_tombstone_held_back_survives_a_rebalance_that_leaves_its_partition_here():
    clients = Clients({RATINGS_0: 5})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1))
    clients.move(USERS_0, 1)
    ingest.process([record(USERS_0, 0, None)])
    ingest._assigned(partitions(0))
    clients.move(RATINGS_0, 5)
    rating = RatingEvent(USER, "i1", 5.0, T + 1)
    ingest.process([record(RATINGS_0, 4, encode_rating(rating))])
    assert USERS_0 in clients.left_out[0]
    assert [output.topic for output in clients.sent] == ["ratings"]
    (withdrawal,) = clients.sent
    assert b'"rating":null' in withdrawal.value.replace(b" ", b"")
    assert USERS_0 not in clients.left_out[-1]


def test_records_held_back_of_a_lost_partition_are_left_to_its_new_owner():
    clients = Clients({RATINGS_0: 5})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1))
    ingest.process([record(USERS_0, 0, None)])
    ingest._assigned(partitions(1))
    assert ingest._users.held_partitions == set()


def test_of_the_live_records_of_users_few_wait_for_a_replay_and_the_rest_stays_in_kafka(monkeypatch):
    monkeypatch.setattr("streams.worker.held_records.MAX_HELD_RECORDS", 4)
    clients = Clients({RATINGS_0: 5})
    clients.found["ends"][USERS_0] = 20
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1))
    n_read, n_held = 0, []
    for replayed in (0, 0, 0, 0, 5, 5, 5, 5, 5):
        batch = range(n_read, n_read if USERS_0 in clients.paused else min(n_read + 3, 20))
        n_read += len(batch)
        clients.move(USERS_0, n_read)
        clients.move(RATINGS_0, replayed)
        users = [record(USERS_0, at, b'{"age": %d}' % at) for at in batch]
        ingest.process(users)
        n_held.append(len(ingest._users._held._held.get(0, ())))
        assert 0 not in ingest._assignment.caught_up()
    assert n_held == [3, 6, 6, 6, 0, 0, 0, 0, 0]
    assert n_read == 18
    assert clients.paused == set()
    assert ingest._state.features_of_user(USER) == {"age": 17}


def test_of_records_of_users_that_wait_few_bytes_are_held(monkeypatch):
    monkeypatch.setattr("streams.worker.held_records.MAX_HELD_BYTES", 100)
    clients = Clients({RATINGS_0: 5})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1))
    ingest.process([record(USERS_0, 0, b'{"a": "%s"}' % (b"x" * 50))])
    assert clients.paused == set()
    ingest.process([record(USERS_0, 1, b'{"a": "%s"}' % (b"x" * 50))])
    assert clients.paused == {USERS_0}
    ingest._assigned(partitions(1))
    ingest.process([])
    assert clients.paused == set()


def test_a_rating_from_before_its_user_was_forgotten_is_withdrawn_from_its_item():
    """A worker that was killed before its commit may have sent the rating already."""
    clients = Clients({})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0))
    ingest.process([record(USERS_0, 0, None)])  # forgotten as of time 9
    clients.sent.clear()
    old, new = RatingEvent(USER, "i1", 5.0, T + 8), RatingEvent(USER, "i2", 5.0, T + 10)
    ingest.process([record(RATINGS_0, at, encode_rating(event)) for at, event in enumerate((old, new))])
    found = joined(decode_item_ratings(as_records(clients.sent)))
    events = set(zip(found.items, found.ratings, found.timestamps, strict=True))
    assert events == {("i1", None, T + 9), ("i2", 5.0, T + 10)}


def test_after_a_standstill_requests_wait_until_the_group_confirms_that_nothing_was_missed():
    clients = Clients({RATINGS_0: 0})
    ingest = ingest_on(clients)
    now_s = 0.0
    standstill = ingest._context.standstill = Standstill(SETTINGS, now=lambda: now_s)
    ingest._assigned(partitions(0))
    now_s = 60.0
    clients.is_member = False
    ingest.settle_doubt()
    assert standstill.look()
    clients.is_member = True
    clients.found["committed"][RATINGS_0] = clients.found["ends"][RATINGS_0] = 3  # by another worker
    ingest.settle_doubt()
    assert standstill.look()
    clients.move(RATINGS_0, 3)
    ingest.process([])
    ingest.settle_doubt()
    assert not standstill.look()


def test_no_item_code_is_written_while_another_worker_may_own_the_item():
    clients = Clients({})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1, 2))
    assert ingest._has_complete_items()
    ingest._revoked(partitions(0, 1, 2))
    assert not ingest._has_complete_items()
    ingest._assigned(partitions(0, 1, 2))
    assert ingest._has_complete_items()
    ingest._lost(partitions(0, 1, 2))
    assert not ingest._has_complete_items()
    assert ingest._context.owned == ingest._context.caught_up == set()


def as_records(outputs):
    return [Record(output.topic, 0, at, output.key, output.value, 0) for at, output in enumerate(outputs)]


def test_a_batch_of_ratings_is_written_as_a_few_records():
    clients = Clients({})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0))
    ratings = [RatingEvent(USER, f"i{at % 8}", 5.0, T + at) for at in range(640)]
    ingest.process([record(RATINGS_0, at, encode_rating(event)) for at, event in enumerate(ratings)])
    written = [output for output in clients.sent if output.topic == "item-ratings"]
    found = joined(decode_item_ratings(as_records(written)))
    assert sorted(zip(found.items, found.timestamps, found.offsets, strict=True)) == sorted(
        (event.item, event.timestamp, at) for at, event in enumerate(ratings)
    )
    assert all(partition_for(item.encode(), 3) == one.partition for one in written for item in items_of(one))
    assert len(written) <= 3 + 640 // 64


def items_of(output):
    (found,) = decode_item_ratings(as_records([output]))
    return found.items


def test_a_large_catalogue_is_encoded_in_parts_and_lists_wait_for_the_last(monkeypatch):
    """The thread looks at the wish to stop, and at new ratings, between two parts."""
    monkeypatch.setattr("streams.worker.item_codes.ITEMS_PER_REFRESH", 3)
    clients = Clients({})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1, 2))
    columns = ItemRatings(["u0"] * 8, [f"i{at}" for at in range(8)], [5.0] * 8, [T] * 8, list(range(8)))
    ingest.process([Record("item-ratings", 0, 0, None, value, T) for value in encode_item_ratings(columns)])
    ingest._assignment.is_caught_up = lambda: True
    n_written = []
    for _ in range(4):
        ingest.encode_items()
        n_written.append((len(clients.sent), ingest._has_item_codes))
    assert n_written == [(3, False), (6, False), (8, True), (8, True)]
