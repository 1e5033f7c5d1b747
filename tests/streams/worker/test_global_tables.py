"""The tables thread finds the newest record of each item."""

import threading
from itertools import permutations

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka import Partition
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import ItemCode, encode_features, encode_item_code
from streams.messages.item_codes import UNREADABLE
from streams.settings import WorkerSettings
from streams.worker.context import WorkerContext
from streams.worker.global_tables import GlobalTables
from tests.streams.worker.test_assignment import Log

OLD, REMOVED, NEW = (
    Record("items", 2, 9, b"i1", encode_features({"title": "old"}), timestamp_ms=5),
    Record("items", 1, 7, b"i1", None, timestamp_ms=6),
    Record("items", 0, 1, b"i1", encode_features({"title": "new"}), timestamp_ms=7),
)


@pytest.mark.parametrize("records", list(permutations([OLD, REMOVED, NEW])))
def test_the_newest_record_of_an_item_wins_in_whatever_order_its_partitions_are_read(records):
    tables = GlobalTables(WorkerContext(WorkerSettings(), threading.Event()), Log(), None)
    batch = tables.decode(records)
    state = Recommender(random_model()).state
    state.fold_in_items(state.events(["u1", "u2"], ["i1", "i1"], [5.0, 5.0], [6, 7]))
    for found, timestamp_ms in batch.items:
        state.set_item(found.id, found.features, timestamp_ms)
    row = state.history.item_ids.row("i1")
    assert state.history.item_features[row] == {"title": "new"}
    assert state.history.item_histories.pairs.forgotten_before[row] == 6


class Silent(Log):
    """The consumer of an empty `models`, and a producer; it stops the worker at the third poll."""

    def __init__(self, stop):
        super().__init__()
        self.stop, self.n_polls = stop, 0

    def assign(self, starts):
        """Take what to read."""

    def mark_applied(self):
        """Nothing was read."""

    def commit(self, *, skip):
        """Nothing is committed."""

    def flush(self):
        """Nothing was sent."""

    def poll(self, wait_s):
        self.n_polls += 1
        if self.n_polls == 3:
            self.stop.set()
        return []


def test_a_worker_without_a_model_says_once_what_it_waits_for(caplog):
    stop = threading.Event()
    context = WorkerContext(WorkerSettings(prefix="shop-"), stop)
    with caplog.at_level("INFO", logger="streams.worker"):
        GlobalTables(context, both := Silent(stop), both).run()
    told = [message for message in caplog.messages if "waiting for a model" in message]
    assert told == ["waiting for a model on shop-models; a trainer publishes one: dch trainer --prefix shop-"]


CODE = ItemCode(generation=1, code="5a" * 8, ratings=1, positives=1)
HOME, AWAY = partition_for(b"i1", 4), (partition_for(b"i1", 4) + 1) % 4


def code_record(partition, offset, value):
    return Record("item-codes", partition, offset, b"i1", value, timestamp_ms=1)


def test_a_code_that_cannot_be_read_is_known_to_have_replaced_the_one_before_it():
    tables = GlobalTables(WorkerContext(WorkerSettings(partitions=4), threading.Event()), Log(), None)
    good, bad = code_record(HOME, 0, encode_item_code(CODE)), code_record(HOME, 1, b"no JSON")
    assert tables.decode([good, bad]).codes == [("i1", HOME, CODE), ("i1", HOME, UNREADABLE)]
    assert [record for record, _ in tables._letters.kept()] == [bad]


def test_a_code_or_tombstone_in_another_partition_than_that_of_its_item_is_a_dead_letter_and_ignored():
    """Its owner writes to one partition alone, so it could never be replaced there."""
    tables = GlobalTables(WorkerContext(WorkerSettings(partitions=4), threading.Event()), Log(), None)
    values = (encode_item_code(CODE), None, b"no JSON")
    batch = tables.decode([code_record(AWAY, at, value) for at, value in enumerate(values)])
    assert batch.codes == []
    assert {str(reason) for _, reason in tables._letters.kept()} == {
        f"key: found in partition {AWAY}, but the item belongs to partition {HOME}"
    }
    assert len(tables._letters.kept()) == 3


class ReadBefore(Log):
    """A consumer that has read two records of the partition of the item."""

    def __init__(self):
        super().__init__(positions={Partition("item-codes", HOME): 2})

    def assign(self, starts):
        """Take what to read."""


def test_codes_that_are_read_again_are_told_from_new_ones():
    context = WorkerContext(WorkerSettings(partitions=4), threading.Event())
    tables = GlobalTables(context, ReadBefore(), None)
    tables._has_missed_codes = True
    tables._read_missed_codes()
    batch = tables.decode([code_record(HOME, at, encode_item_code(CODE)) for at in range(4)])
    assert (len(batch.repeated_codes), len(batch.codes)) == (2, 2)
