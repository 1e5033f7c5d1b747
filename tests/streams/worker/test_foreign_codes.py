"""What others write over the item codes of their owner is replaced by the owner, and by nobody else twice."""

import dataclasses
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output
from streams.messages import ItemCode, decode_item_code, encode_item_code
from streams.messages.item_codes import UNREADABLE
from streams.settings import WorkerSettings
from streams.worker.item_codes import ItemCodeTable
from tests.streams.brokers import eventually, free_ports
from tests.streams.worker.test_item_codes import read
from tests.streams.world import worker

SETTINGS = WorkerSettings(partitions=2)
MODELS = [
    dataclasses.replace(random_model(generation=number, seed=number), generation_hash=f"{number:012x}")
    for number in range(1, 5)
]
ITEMS = [item for item in (f"i{row}" for row in range(20)) if partition_for(item.encode(), 2) == 0][:4]
GHOST = ITEMS[-1]  # nobody ever rates it
SHAPES = ("in service", "next", "older", "newer", "rival", "removed", "unreadable")


class Owner:
    """A worker that owns the items, on a topic that is a list; a log of ratings rebuilds its histories."""

    def __init__(self, topic):
        self.topic, self.n_read, self.n_read_before = topic, 0, 0
        self.recommender, self.ratings, self.following = Recommender(MODELS[0]), [], None
        self.codes = ItemCodeTable(SETTINGS, self.recommender.state)
        self.codes.owned = frozenset({0})

    def rate(self, user, item, rating):
        self.ratings.append((user, item, rating, len(self.ratings) + 1))
        if self.codes.owned:
            fold_in(self.recommender, self.ratings[-1:])

    def encode(self):
        self.codes.recheck()
        self.topic += (outputs := self.codes.refresh())
        return outputs

    def read(self, n=None):
        """Read the next n records, all if None, as the tables thread passes them on."""
        stop = len(self.topic) if n is None else min(self.n_read + n, len(self.topic))
        for at in range(self.n_read, stop):
            self.codes.update(found_at(self.topic, at), are_repeated=at < self.n_read_before)
        self.n_read = stop

    def read_again(self):
        self.n_read_before = max(self.n_read, self.n_read_before)
        self.n_read = 0

    def announce(self):
        if self.following is None and self.recommender.model is not MODELS[-1]:
            self.following = MODELS[MODELS.index(self.recommender.model) + 1]
            self.codes.expect(self.following)

    def publish_next(self):
        if self.following is not None:
            snapshot = self.recommender.state.prepare(self.following)
            for part in self.codes.changes(snapshot):
                self.topic += part
            return snapshot
        return None

    def swap(self):
        if snapshot := self.publish_next():
            self.codes.complete(snapshot)
            self.recommender.swap(snapshot)
            self.following = None

    def lose(self):
        """Let another worker own the items."""
        self.codes.owned = frozenset()
        self.recommender.state.release_items(self.codes.items_of(frozenset({0})))
        self.codes.serve_published_of(frozenset({0}))

    def gain(self):
        """Own the items again, and read the log of ratings once more."""
        self.codes.owned = frozenset({0})
        fold_in(self.recommender, self.ratings)

    def expected(self):
        """Return what the library alone makes of the ratings."""
        library = Recommender(self.recommender.model)
        fold_in(library, self.ratings)
        library.state.refresh_items()
        table = ItemCodeTable(SETTINGS, library.state)
        table.owned = frozenset({0, 1})
        return {id_: code for part in table.changes(library.state.snapshot) for id_, _, code in read(part)}


def fold_in(recommender, ratings):
    if ratings:
        users, items, values, times = map(list, zip(*ratings, strict=True))
        recommender.state.fold_in_items(recommender.state.events(users, items, values, times, times))


def found_at(topic, at):
    """Return what the tables thread makes of one record."""
    output = topic[at]
    if output.value == b"no JSON":
        return [(output.key.decode(), output.partition, UNREADABLE)]
    return read([output])


def foreign(owner, item, kind):
    """Return a record that the owner did not write."""
    model = owner.recommender.model
    hash_, size = model.generation_hash, len(ItemCode(1, "", 0, 0).vector) + 2 * 12
    code = ItemCode(model.generation, "5a5a", 7, 7, "01" * (size // 2), hash_)
    following = owner.following or model
    changes = {
        "in service": {},
        "next": {"generation": following.generation, "generation_hash": following.generation_hash},
        "older": {"generation": 0, "generation_hash": "aa" * 6},
        "newer": {"generation": 99, "generation_hash": "bb" * 6},
        "rival": {"generation_hash": "cc" * 6},
    }
    value = {"removed": None, "unreadable": b"no JSON"}
    if kind in changes:
        value[kind] = encode_item_code(msgspec.structs.replace(code, **changes[kind]))
    return Output("item-codes", item.encode(), value[kind], 0)


def held(topic, model):
    """Return the codes of a model that the topic holds after compaction."""
    newest = {found_at(topic, at)[0][0]: found_at(topic, at)[0][2] for at in range(len(topic))}
    return {
        id_: code
        for id_, code in newest.items()
        if code and (code.generation, code.generation_hash) == (model.generation, model.generation_hash)
    }


def settle(owner):
    for _ in range(2):
        owner.read()
        owner.encode()
    owner.read()


LATE = [
    ("rate", "u0", ITEMS[0], 5.0),
    ("announce",),
    ("publish_next",),
    ("encode",),
    ("read", 1),
    ("swap",),
]
"""A swap while the own code of the model before it is on the topic and was not read back."""

LOST = [
    ("foreign", GHOST, "in service"),
    ("read", 1),
    ("foreign", GHOST, "older"),
    ("read", 1),
    ("lose",),
]
"""An item without a code that others list by a foreign one, which nobody can see on the topic any more."""

items = st.sampled_from(ITEMS)
steps = st.one_of(
    st.tuples(
        st.just("rate"),
        st.sampled_from(["u0", "u1"]),
        st.sampled_from(ITEMS[:-1]),
        st.sampled_from([1.0, 5.0, math.nan]),
    ),
    st.tuples(st.just("foreign"), items, st.sampled_from(SHAPES)),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(
        st.sampled_from(
            ["encode", "encode", "read_again", "announce", "publish_next", "swap", "lose", "gain"]
        )
    ),
)


@given(st.lists(steps, max_size=25))
@example(LATE)
@example(LOST)
@example([*LOST[:2], ("lose",), ("foreign", GHOST, "rival"), ("read", 1), ("gain",)])
@example_settings(max_examples=300)
def test_the_topic_ends_with_the_codes_of_the_owner_whatever_others_write_and_however_late_it_reads(script):
    owner = Owner([])
    for step, *details in script:
        if step == "foreign":
            owner.topic.append(foreign(owner, *details))
        else:
            getattr(owner, step)(*details)
    owner.gain()
    if owner.following:
        owner.swap()
    settle(owner)
    expected = owner.expected()
    assert held(owner.topic, owner.recommender.model) == expected
    n_written = len(owner.topic)
    settle(owner)
    assert len(owner.topic) == n_written, "a settled topic gets no more records"
    reader = Owner(owner.topic)
    reader.codes.owned = frozenset()
    reader.recommender.swap(reader.recommender.state.prepare(owner.recommender.model))
    reader.read()
    assert served_codes(reader) == served_codes(owner)


def served_codes(worker):
    state = worker.recommender.state
    rows = state.items_with_code()
    codes = state.item_codes(rows)
    ids = [state.known_items()[row] for row in rows.tolist()]
    columns = codes.words.tolist(), codes.vectors.tolist(), codes.popularity.tolist()
    return dict(zip(ids, zip(*columns, strict=True), strict=True))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("item", [ITEMS[0], GHOST])
def test_an_idle_item_gets_its_code_back_at_the_next_encoding(item, kind):
    owner = Owner([])
    for rated in ITEMS[:-1]:
        owner.rate("u0", rated, 5.0)
    owner.encode()
    owner.read()
    assert owner.encode() == []
    owner.topic.append(foreign(owner, item, kind))
    owner.read()
    owner.encode()
    assert held(owner.topic, owner.recommender.model) == owner.expected()
    owner.read()
    assert owner.encode() == []


def test_own_records_that_come_back_late_cause_no_others():
    """As many records are written as codes change, while reading is several encodings behind."""
    owner, sent, n_changes = Owner([]), {}, 0
    for turn in range(60):
        owner.rate(f"u{turn % 3}", ITEMS[turn % 2], 1.0 + turn % 5)
        owner.encode()
        for id_, code in owner.expected().items():
            n_changes += sent.get(id_) != code
            sent[id_] = code
        if turn >= 8:
            owner.read(1)
    settle(owner)
    assert len(owner.topic) == n_changes > 30


def test_two_that_believe_that_they_own_an_item_write_once_an_encoding_until_their_histories_are_equal():
    topic = []
    pair = [Owner(topic), Owner(topic)]
    pair[0].rate("u0", ITEMS[0], 5.0)
    pair[1].rate("u1", ITEMS[0], 1.0)
    for _ in range(6):
        for one in pair:
            one.read()
        assert all(len(one.encode()) <= 1 for one in pair)
    pair[0].rate("u1", ITEMS[0], 1.0)
    pair[1].rate("u0", ITEMS[0], 5.0)
    for one in pair * 2:
        one.read()
        one.encode()
    n_written = len(topic)
    for one in pair * 3:
        settle(one)
    assert len(topic) == n_written
    assert held(topic, MODELS[0]) == pair[0].expected() == pair[1].expected()


def test_an_item_that_was_replaced_while_nobody_owned_it_is_encoded_by_its_next_owner():
    """Its features are known to every worker, so no rating of a replay has it encoded."""
    owner = Owner([])
    owner.recommender.state.set_item(ITEMS[0], {"title": "A title"})
    owner.rate("u0", ITEMS[1], 5.0)
    owner.encode()
    owner.codes.owned = frozenset()
    owner.topic.append(foreign(owner, GHOST, "in service"))
    settle(owner)
    assert GHOST in held(owner.topic, MODELS[0])
    owner.codes.owned = frozenset({0})
    settle(owner)
    assert GHOST not in held(owner.topic, MODELS[0])


RATED = [f"i{row}" for row in range(8)]
USERS = [f"u{row}" for row in range(12)]


def lists_of(answers):
    return {user: [(hit.item, hit.distance, hit.score) for hit in hits] for user, hits in answers.items()}


@pytest.mark.prove
@pytest.mark.broker
@pytest.mark.real_broker
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_what_others_wrote_over_codes_of_idle_items_is_replaced_and_all_workers_list_as_before(world):
    model = world.publish(random_model(bits=64, hidden=64, n_users=12))
    world.rate(
        *((user, item, 1 + (u + i) % 5) for u, user in enumerate(USERS) for i, item in enumerate(RATED))
    )
    second = world.settings.replace(metrics_port=free_ports(2))
    with worker(world.settings), worker(second):
        library = world.expected(model)
        expected = lists_of({user: library.recommend(user, 8, include_rated=True) for user in USERS})

        def are_right():
            found = {user: world.ask(user, k=8, include_rated=True).items for user in USERS}
            return world.item_codes() == library.item_codes() and lists_of(found) == expected

        eventually(are_right, 60)
        codes = dict(map(decode_item_code, world.read_all("item-codes")))
        other = msgspec.structs.replace(codes["i1"], code=codes["i0"].code, positives=99)
        for item, code in (("i0", None), ("i1", other), ("i2", msgspec.structs.replace(other, generation=9))):
            value = code and encode_item_code(code)
            world.send("item-codes", item, value, partition=world.owner_of(item))
        eventually(are_right, 60)
