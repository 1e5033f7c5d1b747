"""A search sees the items as they are at one moment, whatever the writer changes meanwhile."""

import threading

import numpy as np
import pytest
from random_models import random_model

import dch.answers as module
from dch import Recommender
from dch.answers import STRATEGIES
from dch.state.item_index import MAX_REPEATS

N_ITEMS = 30


def filled():
    recommender = Recommender(random_model(n_items=N_ITEMS, bits=64))
    for item in range(N_ITEMS):
        recommender.fold_in(f"u{item % 6}", f"i{item}", 3.0 + item % 3, 1)
    return recommender


def hits(recommender, strategy):
    return recommender.recommend("u0", 10, strategy=strategy, include_rated=True)


class Meanwhile:
    """Lets the writer change something between the steps of a search, a number of times."""

    def __init__(self, monkeypatch, change, n_times):
        self.change, self.left = change, n_times
        for name in ("_nearest_of_each", "_ranked", "_most_popular"):
            monkeypatch.setattr(module, name, self.wrap(getattr(module, name)))

    def wrap(self, step):
        def wrapped(*args, **kwargs):
            found = step(*args, **kwargs)
            if self.left:
                self.left -= 1
                self.change()
            return found

        return wrapped


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n_times", [1, MAX_REPEATS - 1])
def test_a_withdrawn_item_is_listed_as_it_was_or_not_at_all(strategy, n_times, monkeypatch):
    recommender = filled()
    state = recommender.state
    listed = [state.item_rows([hit.item]) for hit in hits(recommender, strategy)]
    withdrawn = iter(listed)
    Meanwhile(monkeypatch, lambda: state.remove_item_codes(next(withdrawn)), n_times)
    found = hits(recommender, strategy)
    monkeypatch.undo()
    assert found == hits(recommender, strategy)  # as after the change, all of it


def test_after_some_repeats_the_writer_waits_for_the_search(monkeypatch):
    recommender = filled()
    index = recommender.state.snapshot.item_index
    rows = np.arange(5, dtype=np.int32)
    codes = index.codes(rows)
    n_searches, writers = [], []

    def write_soon():
        writers.append(writer := threading.Thread(target=index.put, args=(rows, codes)))
        writer.start()
        writer.join(0.0 if len(n_searches) > MAX_REPEATS else 20)

    def search():
        columns = index.view()
        n_searches.append(len(columns.words))
        before = columns.words.copy()
        write_soon()
        assert len(n_searches) <= MAX_REPEATS or writers[-1].is_alive()
        return bool((columns.words == before).all())

    assert index.read(search)
    assert len(n_searches) == MAX_REPEATS + 1
    for writer in writers:
        writer.join(20)
    assert index.codes(rows).words.tolist() == codes.words.tolist()


def test_searches_beside_a_writer_find_codes_of_one_moment():
    """The writer moves two items between two codes at once; a search never sees a mixture."""
    recommender = filled()
    index = recommender.state.snapshot.item_index
    rows = np.arange(N_ITEMS, dtype=np.int32)
    codes = index.codes(rows)
    variants = [codes, codes._replace(words=~codes.words, vectors=-codes.vectors)]
    lists = set()
    for variant in variants:
        index.put(rows, variant)
        lists.add(tuple(hits(recommender, "codes+rerank")))
    stop = threading.Event()

    def write():
        at = 0
        while not stop.is_set():
            index.put(rows, variants[at % 2])
            at += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = {tuple(hits(recommender, "codes+rerank")) for _ in range(300)}
    finally:
        stop.set()
        writer.join(20)
    assert len(lists) == 2
    assert found <= lists
