import numpy as np
import pytest

from dch.config import DchConfig
from dch.training.scale import read_scale
from dch.training.training_bags import make_training_bags
from dch.training.validation import (
    BLOCK,
    DEPTH,
    ItemSets,
    Validation,
    make_validation,
    split_validation,
    without_popularity,
)
from tests.dch.training.data import clusters, four_ratings


def _sets(dense):
    return ItemSets.of([np.flatnonzero(row) for row in np.array(dense, bool)])


def _validation(relevant, seen, ties):
    return Validation(np.arange(len(relevant)), _sets(relevant), _sets(seen), np.array(ties, np.float32))


def _bag(side, row):
    return side.tokens[side.starts[row] : side.starts[row + 1]].tolist()


def _dense_ndcg(relevant, seen, ties, scores):
    """Measure all users at once, over whole arrays of users x items."""
    keys = scores.astype(np.float64) + 1e-6 * ties
    keys[seen] = -np.inf
    top = np.argsort(-keys, axis=1, kind="stable")[:, :DEPTH]
    gains = 1 / np.log2(np.arange(2, top.shape[1] + 2))
    gained = (np.take_along_axis(relevant, top, 1) * gains).sum(axis=1)
    possible = np.cumsum(gains)[np.minimum(relevant.sum(axis=1), len(gains)) - 1]
    return (gained / possible).mean()


@pytest.mark.parametrize(("n_users", "n_items"), [(1, 3), (BLOCK, 50), (2 * BLOCK + 1, 50), (100, 7)])
def test_blocks_of_users_give_what_one_dense_computation_gives(n_users, n_items):
    rng = np.random.default_rng(n_users)
    relevant = rng.random((n_users, n_items)) < 0.3
    relevant[:, 0] = True
    seen = (rng.random((n_users, n_items)) < 0.3) & ~relevant
    ties = (rng.permutation(n_items) / n_items).astype(np.float32)
    scores = rng.integers(-4, 5, (n_users, n_items)).astype(np.float32)
    found = _validation(relevant, seen, ties).ndcg(lambda block: scores[block])
    assert found == pytest.approx(_dense_ndcg(relevant, seen, ties, scores), rel=1e-12)


def test_scores_are_asked_for_a_few_users_at_a_time_and_once_each():
    asked = []

    def scores(block):
        asked.append(range(70)[block])
        return np.zeros((len(asked[-1]), 3), np.float32)

    _validation(70 * [[1, 0, 0]], 70 * [[0, 0, 1]], [0, 0, 0]).ndcg(scores)
    assert [user for users in asked for user in users] == list(range(70))
    assert max(map(len, asked)) == BLOCK


def test_ndcg_is_that_of_a_computation_by_hand():
    measure = _validation([[1, 0, 1, 0]], [[0, 1, 0, 0]], [0.0, 0.25, 0.5, 0.75])
    # item 1 is seen; the order is 3, 2, 0: hits at places 2 and 3 of an ideal 1 and 2
    by_hand = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert measure.ndcg(lambda _: np.array([[1.0, 9.0, 2.0, 3.0]])) == pytest.approx(by_hand)


def test_equal_scores_go_by_popularity():
    measure = _validation([[1, 0, 0]], [[0, 0, 0]], [0.1, 0.9, 0.5])
    assert measure.ndcg(lambda _: np.zeros((1, 3))) == pytest.approx(1 / np.log2(4))


def test_without_popularity_equal_scores_go_by_chance_and_others_as_before():
    measure = _validation([[1] + 99 * [0]], [100 * [0]], np.linspace(0.99, 0, 100))
    fair = without_popularity(measure, np.random.default_rng(0))
    assert measure.ndcg(lambda _: np.zeros((1, 100))) == 1.0
    assert fair.ndcg(lambda _: np.zeros((1, 100))) < 1.0
    assert fair.ndcg(lambda _: np.arange(100.0)[None, ::-1]) == 1.0


def test_the_validation_part_leaves_the_training_data_and_is_measured():
    ratings = clusters(n_users=200)
    train, taken = split_validation(ratings, share=0.05, seed=0)
    assert len(train) + len(taken) == len(ratings)
    touched = np.unique(ratings.users[taken])
    assert len(touched) <= 40
    scale = read_scale(train.values, DchConfig(), graded=True)
    sides = make_training_bags(train, scale, min_token_count=1)
    found = make_validation(ratings, taken, sides, scale.positive_from)
    liked = list(zip(*found.relevant.cells(slice(0, len(found.users))), strict=True))
    assert len(liked) == (ratings.values[taken] >= 4).sum()
    assert not set(liked) & set(zip(*found.seen.cells(slice(0, len(found.users))), strict=True))
    for place, item in liked:
        where = (
            ratings.user_ids.row(sides[0].ids[found.users[place]]),
            ratings.item_ids.row(sides[1].ids[item]),
        )
        assert np.flatnonzero((ratings.users == where[0]) & (ratings.items == where[1]))[0] in taken
    rated = found.seen.columns[: found.seen.starts[1]]
    assert rated.tolist() == _bag(sides[0], found.users[0])


def test_with_few_users_nothing_is_taken():
    train, taken = split_validation(four_ratings(), share=1.0, seed=0)
    assert (len(train), len(taken)) == (4, 0)


def test_scores_that_are_no_numbers_earn_nothing():
    measure = _validation([[1, 0, 1, 0]], [[0, 1, 0, 0]], [0.9, 0.25, 0.5, 0.75])
    assert measure.ndcg(lambda _: np.full((1, 4), np.nan)) == 0


def test_the_users_who_lose_ratings_are_the_same_whatever_the_order():
    ratings = clusters(n_users=300)
    shuffled = ratings.subset(np.random.default_rng(1).permutation(len(ratings)))
    once, again = (split_validation(of, share=1.0, seed=3, most=60)[1] for of in (ratings, shuffled))
    assert set(ratings.pairs()[once]) == set(shuffled.pairs()[again])


def test_more_ratings_leave_out_what_was_left_out_before_whatever_the_order():
    ratings = clusters(n_users=300)
    is_old = np.random.default_rng(0).random(len(ratings)) < 0.9
    shuffled = ratings.subset(np.random.default_rng(1).permutation(len(ratings)))
    _, taken = split_validation(ratings.subset(is_old), share=1.0, seed=3)
    _, later = split_validation(shuffled, share=1.0, seed=3)
    before, after = set(ratings.subset(is_old).pairs()[taken]), set(shuffled.pairs()[later])
    assert before < after
    _, other = split_validation(shuffled, share=1.0, seed=4)
    assert len(set(shuffled.pairs()[other]) & after) < 0.4 * len(after)


def test_at_most_so_many_users_lose_ratings():
    ratings = clusters(n_users=300)
    _, taken = split_validation(ratings, share=1.0, seed=0, most=60)
    assert 40 < len(np.unique(ratings.users[taken])) <= 60
