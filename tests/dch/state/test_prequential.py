"""Ranks of prequential trials against the lists that the recommender would return."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from dch import Recommender
from dch.queries import query_user
from dch.search import CANDIDATES
from dch.search.list_rank import OUTSIDE
from dch.search.scan import BLOCK
from dch.state import state as state_module
from dch.state.item_columns import ItemCodes
from dch.state.prequential import NOT_TRIED, rank_trials
from dch.state.side_data import SideData

N_ITEMS = 30
EVENT = st.tuples(st.integers(0, 7), st.integers(0, N_ITEMS + 1), st.sampled_from([1.0, 4.0, 5.0]))


def fresh(vector_size=12, *, relaxed_users=False):
    """Return a recommender with 30 items that all have codes, and users u0 to u5 of the model."""
    recommender = Recommender(
        random_model(n_items=N_ITEMS, bits=8, vector_size=vector_size, relaxed_users=relaxed_users)
    )
    rng = np.random.default_rng(2)
    for item in range(N_ITEMS):
        for user in rng.choice(6, 2, replace=False):
            recommender.fold_in(f"fan{item}", f"i{item}", 5.0, 1)
            recommender.fold_in(f"u{user}", f"i{item}", 3.0, 1)
    return recommender


def expected_ranks(recommender, user, item):
    lists = {
        strategy: [hit.item for hit in recommender.recommend(user, 1000, strategy=strategy)]
        for strategy in ("codes+rerank", "popular")
    }
    return tuple(found.index(item) if item in found else NOT_TRIED for found in lists.values())


@given(st.lists(EVENT, min_size=1, max_size=20), st.sampled_from([0, 12]), st.booleans())
def test_a_rank_is_the_position_in_the_list_of_the_user_just_before_the_event(
    sampled, vector_size, relaxed_users
):
    recommender, twin = (fresh(vector_size, relaxed_users=relaxed_users) for _ in range(2))
    columns = [
        [f"u{user}" for user, _, _ in sampled],
        [f"i{item}" for _, item, _ in sampled],
        [rating for *_, rating in sampled],
        list(range(10, 10 + len(sampled))),
    ]
    events = recommender.state.events(*columns)
    ranks = recommender.state.fold_in_users(events, np.ones(len(sampled), np.bool_))

    for at, (user, item, rating, timestamp) in enumerate(zip(*columns, strict=True)):
        assert (ranks.codes[at], ranks.popular[at]) == expected_ranks(twin, user, item)
        event = twin.state.events([user], [item], [rating], [timestamp])
        twin.state.fold_in_users(event)  # the item side does not change within a batch


@pytest.mark.parametrize("relaxed_users", [False, True])
def test_an_item_has_its_rank_among_the_candidates_and_is_outside_otherwise(relaxed_users):
    recommender = Recommender(random_model(n_items=300, bits=8, relaxed_users=relaxed_users))
    items = [f"i{row}" for row in range(300)]
    users = [f"u{row * row % 5}" for row in range(300)]
    recommender.state.fold_in_items(recommender.state.events(users, items, [5.0] * 300, [1] * 300))
    recommender.state.refresh_items()
    recommender.fold_in("u5", "i0", 5.0, 1)
    candidates = [hit.item for hit in recommender.recommend("u5", CANDIDATES)]
    for item in items[1:]:
        before = recommender.state.events(["u5", "u5"], [item, item], [5.0, float("nan")], [2, 3])
        ranks = recommender.state.fold_in_users(before, np.array([True, False]))
        recommender.state.release_users(["u5"])
        recommender.fold_in("u5", "i0", 5.0, 1)
        assert ranks.codes[0] == (candidates.index(item) if item in candidates else OUTSIDE)


def test_events_without_a_trial_and_items_already_rated_have_no_rank():
    recommender = fresh()
    events = recommender.state.events(["u9", "u9", "u9"], ["i1", "i2", "i2"], [5.0] * 3, [9] * 3)
    ranks = recommender.state.fold_in_users(events, np.array([False, True, True]))
    assert (ranks.codes >= 0).tolist() == (ranks.popular >= 0).tolist() == [False, True, False]
    assert ranks.codes[0] == NOT_TRIED


def random_codes(n):
    rng = np.random.default_rng(3)
    words = rng.integers(2**64, size=(n, 1), dtype=np.uint64)
    return ItemCodes(words, np.zeros((n, 12), np.int8), np.ones(n, np.int32), np.ones(n, np.bool_))


class LockThatKnows:
    """A lock that can be asked whether it is held."""

    is_held = False

    def __enter__(self):
        self.is_held = True

    def __exit__(self, *_):
        self.is_held = False


def test_trials_compare_no_code_under_the_lock_and_copy_no_more_of_a_larger_catalogue(monkeypatch):
    copied = {}
    for n_items in (2_000, 200_000):
        recommender = Recommender(random_model(n_items=20, bits=64))
        state, codes = recommender.state, random_codes(n_items)
        state.put_item_codes(state.intern_items([f"i{row}" for row in range(n_items)]), codes)
        recommender.fold_in("u5", "i0", 5.0, 1)
        own = np.frombuffer(query_user(state, "u5").code, np.uint64)
        distances = np.bitwise_count(codes.words ^ own)[:, 0]
        far = f"i{np.argsort(distances)[n_items // 2]}"
        state.lock = LockThatKnows()

        def spy(before, *arguments, state=state, n_items=n_items):
            assert not state.lock.is_held
            assert state.trial_work.compared[0] == 0  # nothing was compared before, under the lock
            copied[n_items] = sum(column.nbytes for column in (*before[:1], *before.bags, *before[2:]))
            return rank_trials(before, *arguments)

        monkeypatch.setattr("dch.state.state.rank_trials", spy)
        ranks = state.fold_in_users(state.events(["u5"], [far], [5.0], [2]), np.array([True]))
        assert ranks.codes[0] == OUTSIDE
        assert 0 < state.trial_work.compared[0] <= 2 * BLOCK
    assert copied[2_000] == copied[200_000]


def test_no_batch_and_no_release_holds_the_lock_for_more_than_a_part_of_its_rows(monkeypatch):
    """Readers wait for a part, not for a batch of thousands or for all users of a partition."""
    state, sizes = Recommender(random_model(n_items=20)).state, []
    state.lock = LockThatKnows()

    def watch(module, name, size_of):
        found = getattr(module, name)

        def watched(*arguments):
            assert state.lock.is_held
            sizes.append((name, size_of(arguments)))
            return found(*arguments)

        monkeypatch.setattr(module, name, watched)

    watch(state_module, "fold_in_all", lambda arguments: len(arguments[2]))
    watch(SideData, "release_ratings", lambda arguments: len(arguments[1]))
    users, items = [f"u{n}" for n in range(2000)], [f"i{n}" for n in range(2000)]
    events = state.events(users, items, [5.0] * 2000, range(2000))
    state.fold_in_users(events)
    state.fold_in_items(events)
    state.release_users(users)
    state.release_items(items)
    for name in ("fold_in_all", "release_ratings"):
        found = [size for kind, size in sizes if kind == name]
        assert max(found) <= 256
        assert sum(found) == 2 * 2000
    assert len(state.history.user_histories) == len(state.history.item_histories) == 0
