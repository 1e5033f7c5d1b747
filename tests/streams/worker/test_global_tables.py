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
