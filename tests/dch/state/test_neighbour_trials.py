"""Trials in lists with neighbours: against the list itself, and without a search where the item is far."""

import numpy as np
from random_models import random_model

import dch.state.neighbour_trials as module
from dch import Recommender
from dch.models.neighbours import from_columns
from dch.search import CANDIDATES
from dch.search.list_rank import LOOK_AHEAD, OUTSIDE
from dch.search.scan import BLOCK, MAX_RUNS, RUN
from dch.state.item_columns import ItemCodes

N, N_FITTED, N_NEIGHBOURS, N_RATED = 2_000, 1_900, 30, 30


def filled(n=N):
    """Return a recommender in which a history speaks for some 700 items, more than are listed."""
    rng = np.random.default_rng(1)
    columns = rng.integers(0, N_FITTED, (N_FITTED, N_NEIGHBOURS)).astype(np.int32)
    weights = rng.normal(0.1, 0.1, (N_FITTED, N_NEIGHBOURS)).astype(np.float32)
    model = random_model(n_items=N_FITTED, bits=64, neighbours=from_columns(columns, weights, 3e-6))
    recommender = Recommender(model)
    rows = recommender.state.intern_items([f"i{row}" for row in rng.permutation(n)])
    words = rng.integers(2**64, size=(n, 1), dtype=np.uint64)
    vectors = rng.integers(-9, 9, (n, 12)).astype(np.int8)
    codes = ItemCodes(words, vectors, (rows % 100).astype(np.int32), rng.random(n) < 0.9)
    recommender.state.put_item_codes(rows, codes)
    for item in range(N_RATED):
        recommender.state.fold_in_users(recommender.state.events(["u0"], [f"i{item}"], [4.0], [1]))
    return recommender


def test_a_trial_has_the_rank_in_the_list_and_searches_only_if_the_item_may_be_there(monkeypatch):
    recommender, n_searches = filled(), []
    state, model = recommender.state, recommender.model
    listed = [hit.item for hit in recommender.recommend("u0", CANDIDATES)]
    near = {hit.item for hit in recommender.recommend("u0", CANDIDATES, strategy="codes+rerank")}
    strengths = dict.fromkeys(range(N_FITTED), 0)
    for source in range(N_RATED):
        for at in range(*model.neighbours.starts[source : source + 2]):
            item = int(model.neighbours.items[at])
            strengths[item] += int(model.neighbours.weights[at]) * int(model.neighbours.scales[item])
    allowed = state.snapshot.item_index.view().allowed
    spoken = [
        item
        for item in range(N_RATED, N_FITTED)
        if strengths[item] > 0 and allowed[state.item_rows([f"i{item}"])[0]]
    ]
    spoken.sort(key=lambda item: -strengths[item])
    strong, weak = ([f"i{item}" for item in part] for part in (spoken[:150], spoken[250:]))
    assert len(weak) > 50
    nearest = module.nearest

    def spy(*arguments, **options):
        n_searches.append(1)
        return nearest(*arguments, **options)

    monkeypatch.setattr(module, "nearest", spy)
    tried = [
        *listed[::20],
        *strong[::10],
        *weak[::10],
        *sorted(near)[::20],
        *(f"i{row}" for row in range(N - 60, N, 3)),
    ]
    found = {}
    for at, item in enumerate(tried):
        if not allowed[state.item_rows([item])[0]]:
            continue
        n_searches.clear()
        trial = state.events(["u0", "u0"], [item, item], [5.0, np.nan], [10 + 2 * at, 11 + 2 * at])
        found[item] = state.fold_in_users(trial, np.array([True, False])).codes[0]
        assert found[item] == (listed.index(item) if item in listed else OUTSIDE)
        if item in near:
            assert n_searches == []  # its candidates were found when it was seen to be near
        elif item in strong:
            assert len(n_searches) == 1
        elif item in weak or item not in {f"i{one}" for one in spoken}:
            assert n_searches == []
    assert 20 < sum(rank == OUTSIDE for rank in found.values()) < len(found) - 20


def test_a_trial_of_a_near_item_compares_each_code_once():
    n = 100_000
    recommender = filled(n)
    state = recommender.state
    (near, *_) = recommender.recommend("u0", 1, strategy="codes")
    trial = state.events(["u0"], [near.item], [5.0], [10])
    listed = [hit.item for hit in recommender.recommend("u0", CANDIDATES)]
    rank = state.fold_in_users(trial, np.array([True])).codes[0]
    assert rank == (listed.index(near.item) if near.item in listed else OUTSIDE)
    sampled = (LOOK_AHEAD + 1) * BLOCK + MAX_RUNS * RUN
    assert n <= state.trial_work.compared[0] <= n + sampled < 1.5 * n
