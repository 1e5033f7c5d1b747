"""A search sees the items as at one moment, and is made once, whatever the writer changes meanwhile."""

import threading
from itertools import count

import numpy as np
import pytest
from random_models import random_model, random_neighbours

import dch.answers as module
from dch import Recommender
from dch.questions import STRATEGIES
from dch.state.item_columns import popularity_of

N_ITEMS = 30


def filled():
    recommender = Recommender(random_model(n_items=N_ITEMS, bits=64))
    for item in range(N_ITEMS):
        recommender.fold_in(f"u{item % 6}", f"i{item}", 3.0 + item % 3, 1)
    return recommender


def hits(recommender, strategy):
    return recommender.recommend("u0", 10, strategy=strategy, include_rated=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("step", ["list_of", "_hits"])
def test_an_item_that_is_withdrawn_during_a_search_is_listed_as_it_was(strategy, step, monkeypatch):
    recommender = filled()
    state, before, left = recommender.state, hits(recommender, strategy), [1]
    original = getattr(module, step)

    def withdraw_then(*arguments):
        if left:
            left.clear()
            state.remove_item_codes(state.item_rows([before[0].item]))
        return original(*arguments)

    monkeypatch.setattr(module, step, withdraw_then)
    assert hits(recommender, strategy) == before
    monkeypatch.undo()
    assert before[0].item not in [hit.item for hit in hits(recommender, strategy)]


def test_only_a_second_change_during_a_search_waits_for_it():
    index = filled().state.snapshot.item_index
    rows = np.arange(5, dtype=np.int32)
    codes = index.codes(rows)
    changes = [codes._replace(popularity=codes.popularity + more) for more in (1, 2)]

    is_first_done = threading.Event()

    def write():
        index.put(rows, changes[0])
        is_first_done.set()
        index.put(rows, changes[1])

    writer = threading.Thread(target=write)
    with index.reading() as held:
        before = [column.copy() for column in held.columns]
        writer.start()
        assert is_first_done.wait(20)
        with index.reading() as newer:
            now = popularity_of(newer.columns.precedence[rows])
            assert now.tolist() == changes[0].popularity.tolist()
        writer.join(0.05)
        assert writer.is_alive()  # the second change
        for column, expected in zip(held.columns, before, strict=True):
            assert np.array_equal(column, expected)
    writer.join(20)
    assert index.codes(rows).popularity.tolist() == changes[1].popularity.tolist()


def test_items_are_removed_beside_a_search_although_others_were_met_meanwhile():
    state = filled().state
    index, row = state.snapshot.item_index, np.array([3], np.int32)
    state.intern_items(["one more"])
    writer = threading.Thread(target=index.remove, args=(row,))
    with index.reading():
        writer.start()
        writer.join(20)
        assert not writer.is_alive()  # a second publication would wait for the search
    assert not index.has_code(row)[0]
    assert index.has_code(row + 1)[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("step", ["list_of", "_hits"])
def test_items_that_are_met_and_served_during_a_search_are_not_in_its_list(strategy, step, monkeypatch):
    """The rows of fitted items, of which there is one copy, then name rows past the end of its columns."""
    neighbours = random_neighbours(n_items=8, k=7)
    recommender = Recommender(random_model(n_items=8, bits=64, neighbours=neighbours))
    for item in range(5):
        recommender.fold_in(f"u{item % 2}", f"i{item}", 3.0 + item % 3, 1)
    state, before, met = recommender.state, hits(recommender, strategy), []
    index, original = state.snapshot.item_index, getattr(module, step)
    codes, fitted = index.codes(np.arange(3, dtype=np.int32)), state.model.item_ids.rows(["i5", "i6", "i7"])

    def meet_then(*arguments):
        if not met:
            met.append(state.intern_items(["i5", "i6", "i7"]))
            state.put_item_codes(met[0], codes)
            assert index.rows_of_fitted[fitted].tolist() == met[0].tolist() == [5, 6, 7]
        return original(*arguments)

    monkeypatch.setattr(module, step, meet_then)
    assert hits(recommender, strategy) == before
    monkeypatch.undo()
    assert len(met) == 1
    assert {"i5", "i6", "i7"} <= {hit.item for hit in hits(recommender, strategy)}


def test_items_are_encoded_without_the_lock_so_that_no_request_waits(monkeypatch):
    recommender = filled()
    state, is_locked = recommender.state, []
    encoder = state.snapshot.items
    original = encoder.encode

    def encode(rows):
        is_locked.append(state.lock.locked())
        return original(rows)

    monkeypatch.setattr(encoder, "encode", encode)
    state.mark_items_changed(np.arange(5, dtype=np.int32))
    assert state.refresh_items().tolist() == list(range(5))
    assert is_locked == [False]


def test_searches_beside_a_writer_find_codes_of_one_moment_and_are_made_once(monkeypatch):
    """The writer moves all items between two codes at once; a search never sees a mixture."""
    recommender = filled()
    index = recommender.state.snapshot.item_index
    rows = np.arange(N_ITEMS, dtype=np.int32)
    codes = index.codes(rows)
    variants = [codes, codes._replace(words=~codes.words, vectors=-codes.vectors)]
    lists, n_searches = set(), []
    for variant in variants:
        index.put(rows, variant)
        lists.add(tuple(hits(recommender, "codes+rerank")))
    n_writes, stop, search = [], threading.Event(), module.candidates_of_each

    def write():
        for at in count():
            if stop.is_set():
                return
            index.put(rows, variants[at % 2])
            n_writes.append(1)

    def counted(*arguments):
        n_searches.append(1)
        return search(*arguments)

    monkeypatch.setattr(module, "candidates_of_each", counted)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = {tuple(hits(recommender, "codes+rerank")) for _ in range(300)}
        n_writes_beside = len(n_writes)
    finally:
        stop.set()
        writer.join(20)
    assert len(lists) == 2
    assert found <= lists
    assert n_writes_beside >= 2
    assert len(n_searches) == 300
