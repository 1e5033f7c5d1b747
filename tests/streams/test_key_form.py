"""Printable keys of four bytes are integers for every command that is told so."""

import struct

import pytest

from streams.cli.held import held_of
from streams.kafka import Partition
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import RatingEvent, encode_rating
from streams.publish import publish_features
from streams.settings import TrainerSettings, WorkerSettings
from streams.trainer.source import Source
from streams.worker.global_tables import GlobalTables
from tests.streams.test_any_record import Clients as TrainerClients
from tests.streams.worker import test_ingest_loop as ingest_tests
from tests.streams.worker.test_assignment import Log, partitions

T = 1_700_000_000_000
NUMBERS = range(struct.unpack(">i", b"abcd")[0], 2**31)
NUMBER = next(n for n in NUMBERS if partition_for(str(n).encode(), 3) == 0)
KEY, USER = struct.pack(">i", NUMBER), str(NUMBER)
TEXT = KEY.decode()
USERS_0, RATINGS_0 = Partition("users", 0), Partition("ratings", 0)


def tombstone(topic):
    return Record(topic, 0, 0, KEY, None, timestamp_ms=T + 9)


def ratings():
    """Return ratings by, and of, the number and the text that its key would be."""
    pairs = [(USER, "i1"), (TEXT, "i1"), ("u9", USER), ("u9", TEXT)]
    values = [encode_rating(RatingEvent(user, item, 5.0, T)) for user, item in pairs]
    return [Record("ratings", 0, at, b"k", value, timestamp_ms=T) for at, value in enumerate(values)]


def test_a_worker_forgets_the_user(monkeypatch):
    monkeypatch.setattr(ingest_tests, "SETTINGS", WorkerSettings(partitions=3, key_form="int32"))
    clients = ingest_tests.Clients({})
    ingest = ingest_tests.ingest_on(clients)
    ingest._assigned(partitions(0))
    ingest.process(ratings()[:1])
    clients.move(RATINGS_0, 1)
    ingest.process([tombstone("users")])
    assert ingest._state.history.user_histories.n_live(ingest._state.user_rows([USER])).tolist() == [0]


def test_a_worker_removes_the_item():
    context = ingest_tests.WorkerContext(WorkerSettings(key_form="int32"), ingest_tests.threading.Event())
    ((found, _),) = GlobalTables(context, Log(), None).decode([tombstone("items")]).items
    assert (found.id, found.features) == (USER, None)


def test_a_trainer_forgets_the_user_and_the_item():
    clients = TrainerClients()
    source = Source(TrainerSettings(partitions=1, key_form="int32"), clients)
    clients.records = [*ratings(), tombstone("users"), tombstone("items")]
    source.read()
    live, _ = source.log.ratings({})
    assert {
        (live.user_ids[user], live.item_ids[item]) for user, item in zip(live.users, live.items, strict=True)
    } == {
        (TEXT, "i1"),
        ("u9", TEXT),
    }


@pytest.mark.parametrize(("form", "forgotten", "kept"), [("int32", USER, TEXT), ("auto", TEXT, USER)])
def test_inspect_tells_which_user_was_forgotten(form, forgotten, kept):
    records = {"ratings": ratings(), "users": [tombstone("users")]}
    times = [
        held_of("user", id_, lambda topic: records.get(topic.name, []), 3, form).tombstone_at
        for id_ in (forgotten, kept)
    ]
    assert times == [T + 9, None]


def test_features_are_published_under_the_same_key_as_by_other_clients():
    sent = Clients()
    publish_features({USER: {"age": 25}, TEXT: {"age": 26}, "u1": {}}, sent, "users", "int32")
    assert [output.key for output in sent.outputs] == [KEY, b'"%s"' % KEY, b"u1"]


class Clients:
    """A producer that keeps what it is given."""

    def __init__(self):
        self.outputs = []

    def send(self, output):
        self.outputs.append(output)

    def flush(self):
        pass
