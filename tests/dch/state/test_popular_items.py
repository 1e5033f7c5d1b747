"""The kept popular items against a sort of all items after every change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model

from dch import Recommender
from dch.queries import query_user
from dch.state import popular_items
from dch.state.popular_items import EVERYTHING, NOTHING, first_listed, most_popular, updated

N = 40
CHANGES = st.dictionaries(st.integers(0, N - 1), st.tuples(st.booleans(), st.integers(0, 9)), min_size=1)


@pytest.fixture(autouse=True, scope="module")
def a_short_list():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(popular_items, "SIZE", 6)
        yield


def by_full_sort(allowed, precedence):
    return sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-precedence[row], row))


@given(st.lists(CHANGES, max_size=10), st.sampled_from([None, *range(4)]))
def test_the_list_is_the_head_of_a_full_sort_after_any_changes(changes, seed):
    allowed, precedence, popular = np.zeros(N, np.uint8), np.zeros(N, np.int64), NOTHING
    among = None if seed is None else np.random.default_rng(seed).integers(0, 2, N).astype(np.uint8)
    for step in changes:
        for row, (is_allowed, own) in step.items():
            allowed[row], precedence[row] = is_allowed, own
        changed = np.array([row for row in sorted(step) if among is None or among[row]], np.int32)
        popular = updated(popular, changed, allowed, precedence, among)
        expected = by_full_sort(allowed if among is None else allowed & among, precedence)
        assert popular.rows.tolist() == [row for row in expected if precedence[row] > popular.floor]
        if popular.floor != EVERYTHING:
            assert len(expected) > len(popular.rows)


@given(st.lists(st.integers(0, N - 1), unique=True), st.integers(1, N), st.integers(1, N))
def test_the_first_listed_are_those_that_are_still_allowed_and_not_skipped(skip, k, n_known):
    rng = np.random.default_rng(len(skip))
    precedence = rng.permutation(N)
    rows = most_popular(np.ones(N, np.uint8), precedence).rows
    allowed = rng.integers(0, 2, n_known).astype(np.uint8)
    found = first_listed(rows, allowed, np.array(sorted(skip), np.int32), k)
    may_be_listed = [row for row in rows.tolist() if row < n_known and allowed[row] and row not in skip]
    assert found.tolist() == may_be_listed[:k]


EVENT = st.tuples(st.sampled_from(["u4", "u5"]), st.integers(0, N - 1), st.sampled_from([1.0, 5.0]))
STEP = EVENT | st.tuples(st.sampled_from(["hide", "remove"]), st.integers(0, N - 1), st.none())


@settings(max_examples=15)
@given(st.lists(STEP, max_size=20), st.integers(1, 12))
def test_a_popular_list_equals_the_sort_of_all_items_that_may_be_listed(steps, k):
    recommender = Recommender(random_model(n_items=N, bits=8))
    for item in range(0, N, 4):
        recommender.fold_in(f"u{item % 3}", f"i{item}", 5.0, 1)
    for at, (who, item, rating) in enumerate(steps):
        if rating is not None:
            recommender.fold_in(who, f"i{item}", rating, 2 + at)
        else:
            recommender.state.set_item(f"i{item}", {"available": False} if who == "hide" else None, 2 + at)
            recommender.state.refresh_items()
    ids, columns = recommender.state.history.item_ids, recommender.state.snapshot.item_index.view()
    everything = by_full_sort(columns.allowed, columns.precedence)
    for user in ("u4", "nobody"):
        seen = set(query_user(recommender.state, user).seen.tolist())
        expected = [ids[row] for row in everything if row not in seen][:k]
        assert [hit.item for hit in recommender.recommend(user, k, strategy="popular")] == expected


def test_a_popular_list_looks_at_the_kept_items_only(monkeypatch):
    recommender = Recommender(random_model(n_items=N, bits=8))
    for item in range(N):
        for fan in range(1 + item % 5):
            recommender.fold_in(f"u{fan}", f"i{item}", 5.0, 1)
    looked_at = []

    def spy(rows, *arguments):
        looked_at.append(len(rows))
        return first_listed(rows, *arguments)

    monkeypatch.setattr("dch.lists.first_listed", spy)
    monkeypatch.setattr("dch.lists._in_order", lambda *_: pytest.fail("sorted the catalogue"))
    assert len(recommender.recommend("a stranger", 3, strategy="popular")) == 3
    assert looked_at
    assert max(looked_at) <= 2 * popular_items.SIZE < N


@pytest.mark.parametrize("n_fitted", [3, N - 30])
def test_a_popular_list_that_lacks_new_items_looks_at_the_kept_ones_only(n_fitted, monkeypatch):
    recommender = Recommender(random_model(n_items=n_fitted, bits=8))
    for item in range(N):
        for fan in range(9 if item < n_fitted else 1 + item % 7):
            recommender.fold_in(f"u{fan}", f"i{item}", 5.0, 1)
    columns, looked_at = recommender.state.snapshot.item_index.view(), []
    new = by_full_sort(columns.allowed & columns.is_new, columns.precedence)
    assert len(new) == N - n_fitted > 2 * popular_items.SIZE

    def spy(rows, *arguments):
        looked_at.append(len(rows))
        return first_listed(rows, *arguments)

    monkeypatch.setattr("dch.lists.first_listed", spy)
    found = recommender.recommend("a stranger", 5, strategy="popular", new_item_share=1.0)
    assert [hit.item for hit in found] == [recommender.state.history.item_ids[row] for row in new[:5]]
    assert len(looked_at) == 2
    assert max(looked_at) <= 2 * popular_items.SIZE
