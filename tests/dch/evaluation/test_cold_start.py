import numpy as np
import pytest

from dch.data.splits import holdout
from dch.evaluation.cold_start import GIVEN_COUNTS, cold_start_items, cold_start_users
from tests.dch.training.data import clusters


@pytest.fixture(scope="module")
def split():
    ratings = clusters(n_users=200, n_items=200, n_clusters=3)
    return holdout(ratings, np.random.default_rng(0), user_share=0.3, item_share=0.3)


def _cold_start(split, which, seed=0):
    return {"users": cold_start_users, "items": cold_start_items}[which](
        split, 4.0, np.random.default_rng(seed)
    )


@pytest.mark.parametrize("which", ["users", "items"])
def test_each_new_row_is_given_as_many_ratings_as_the_count(split, which):
    cold = _cold_start(split, which)
    n_given = 0
    for count, more in cold.steps():
        n_given += len(more)
        rows = getattr(cold.given(0, count), which)
        assert n_given == len(rows) == cold.n_new * count
        assert set(np.bincount(rows)) <= {0, count}
    assert cold.n_new > 10


@pytest.mark.parametrize("which", ["users", "items"])
def test_given_ratings_are_from_the_given_part_of_rows_with_enough_ratings(split, which):
    whole = {"users": split.user_given, "items": split.item_given}[which]
    counts = np.bincount(getattr(whole, which))
    cold = _cold_start(split, which)
    assert set(getattr(cold.given(0, GIVEN_COUNTS[-1]), which)) == set(
        np.flatnonzero(counts >= GIVEN_COUNTS[-1])
    )
    pairs = set(zip(whole.users.tolist(), whole.items.tolist(), strict=True))
    given = cold.given(0, GIVEN_COUNTS[-1])
    assert set(zip(given.users.tolist(), given.items.tolist(), strict=True)) < pairs


def test_the_seed_determines_the_order_of_given_ratings(split):
    firsts = [_cold_start(split, "users", seed).given(0, 1).items.tolist() for seed in (0, 0, 1)]
    assert firsts[0] == firsts[1] != firsts[2]


def test_new_users_rank_known_items_except_those_in_their_given_part(split):
    cold = _cold_start(split, "users")
    task = cold.tasks["users"]
    assert set(task.users) <= set(np.flatnonzero(split.new_users))
    assert not (task.candidates & split.new_items).any()
    for row, user in enumerate(task.users):
        given = task.given.columns[task.given.starts[row] : task.given.starts[row + 1]]
        assert set(given) == set(split.user_given.items[split.user_given.users == user])


def test_new_items_are_ranked_among_themselves_and_among_all(split):
    cold = _cold_start(split, "items")
    few, all_ = cold.tasks["items"], cold.tasks["items among all"]
    assert few.candidates.sum() == cold.n_new
    assert set(np.flatnonzero(few.candidates)) <= set(np.flatnonzero(split.new_items))
    assert all_.candidates.sum() == cold.n_new + len(np.unique(split.train.items))
    assert set(few.relevant.columns) <= set(np.flatnonzero(few.candidates))
    assert np.array_equal(few.relevant.columns, all_.relevant.columns)
    assert not split.new_users[few.users].any()
