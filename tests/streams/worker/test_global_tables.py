"""The tables thread finds the newest record of each item."""

import threading
from itertools import permutations

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka.records import Record
from streams.messages import encode_features
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
    """The consumer of an empty `models`; it stops the worker at the third poll."""

    def __init__(self, stop):
        super().__init__()
        self.stop, self.n_polls = stop, 0

    def assign(self, starts):
        """Take what to read."""

    def mark_applied(self):
        """Nothing was read."""

    def commit(self, *, skip):
        """Nothing is committed."""

    def poll(self, wait_s):
        self.n_polls += 1
        if self.n_polls == 3:
            self.stop.set()
        return []


def test_a_worker_without_a_model_says_once_what_it_waits_for(caplog):
    stop = threading.Event()
    context = WorkerContext(WorkerSettings(prefix="shop-"), stop)
    with caplog.at_level("INFO", logger="streams.worker"):
        GlobalTables(context, Silent(stop), None).run()
    told = [message for message in caplog.messages if "waiting for a model" in message]
    assert told == ["waiting for a model on shop-models; a trainer publishes one: dch trainer --prefix shop-"]
