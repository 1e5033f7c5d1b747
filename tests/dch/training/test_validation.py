from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.data.ratings import ItemSets
from dch.training.batches import whole_bags
from dch.training.initial_weights import random_weights
from dch.training.rating_weights import infer_scale
from dch.training.tower_net import TowerNet
from dch.training.training_bags import make_training_bags
from dch.training.training_data import make_training_data
from dch.training.validation import (
    NDCG_DEPTH,
    USERS_AT_ONCE,
    Validation,
    break_ties_at_random,
    make_measure,
    make_validation,
)
from dch.training.validation_split import split_validation
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=32, teacher_factors=8, early_stopping=True)


def _sets(dense):
    return ItemSets.of([np.flatnonzero(row) for row in np.array(dense, bool)])


def _validation(relevant, seen, ties):
    return Validation(np.arange(len(relevant)), _sets(relevant), _sets(seen), np.array(ties, np.float32))


def _bag(bags, row):
    return bags.tokens[bags.starts[row] : bags.starts[row + 1]].tolist()


def _dense_ndcg(relevant, seen, ties, scores):
    """Measure all users at once, with arrays of n_users x n_items."""
    keys = scores.astype(np.float64) + 1e-6 * ties
    keys[seen] = -np.inf
    top = np.argsort(-keys, axis=1, kind="stable")[:, :NDCG_DEPTH]
    gains = 1 / np.log2(np.arange(2, top.shape[1] + 2))
    gained = (np.take_along_axis(relevant, top, 1) * gains).sum(axis=1)
    possible = np.cumsum(gains)[np.minimum(relevant.sum(axis=1), len(gains)) - 1]
    return (gained / possible).mean()


def test_several_rankings_are_measured_as_each_alone():
    rng = np.random.default_rng(0)
    relevant = rng.random((40, 30)) < 0.3
    relevant[:, 0] = True
    validation = _validation(relevant, ~relevant & (rng.random((40, 30)) < 0.3), rng.random(30))
    scores = rng.random((3, 40, 30)).astype(np.float32)
    found = validation.ndcg_of_each(lambda block: [one[block] for one in scores])
    for one, of_one in zip(scores, found, strict=True):
        assert (of_one == validation.ndcg_by_user(lambda block, one=one: one[block])).all()


@pytest.mark.parametrize(
    ("n_users", "n_items"), [(1, 3), (USERS_AT_ONCE, 50), (2 * USERS_AT_ONCE + 1, 50), (100, 7)]
)
def test_blocks_of_users_give_the_result_of_one_dense_computation(n_users, n_items):
    rng = np.random.default_rng(n_users)
    relevant = rng.random((n_users, n_items)) < 0.3
    relevant[:, 0] = True
    seen = (rng.random((n_users, n_items)) < 0.3) & ~relevant
    ties = (rng.permutation(n_items) / n_items).astype(np.float32)
    scores = rng.integers(-4, 5, (n_users, n_items)).astype(np.float32)
    found = _validation(relevant, seen, ties).ndcg(lambda block: scores[block])
    assert found == pytest.approx(_dense_ndcg(relevant, seen, ties, scores), rel=1e-12)


def test_scores_are_computed_in_blocks_and_once_for_each_user():
    blocks = []

    def scores(block):
        blocks.append(range(70)[block])
        return np.zeros((len(blocks[-1]), 3), np.float32)

    _validation(70 * [[1, 0, 0]], 70 * [[0, 0, 1]], [0, 0, 0]).ndcg(scores)
    assert [user for users in blocks for user in users] == list(range(70))
    assert max(map(len, blocks)) == USERS_AT_ONCE


def test_ndcg_equals_a_computation_by_hand():
    measure = _validation([[1, 0, 1, 0]], [[0, 1, 0, 0]], [0.0, 0.25, 0.5, 0.75])
    # item 1 is seen; the order is 3, 2, 0: hits at positions 2 and 3, ideally at 1 and 2
    by_hand = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert measure.ndcg(lambda _: np.array([[1.0, 9.0, 2.0, 3.0]])) == pytest.approx(by_hand)


def test_equal_scores_are_ordered_by_popularity():
    measure = _validation([[1, 0, 0]], [[0, 0, 0]], [0.1, 0.9, 0.5])
    assert measure.ndcg(lambda _: np.zeros((1, 3))) == pytest.approx(1 / np.log2(4))


def test_ties_broken_at_random_do_not_change_the_order_of_different_scores():
    measure = _validation([[1] + 99 * [0]], [100 * [0]], np.linspace(0.99, 0, 100))
    random_ties = break_ties_at_random(measure, np.random.default_rng(0))
    assert measure.ndcg(lambda _: np.zeros((1, 100))) == 1.0
    assert random_ties.ndcg(lambda _: np.zeros((1, 100))) < 1.0
    assert random_ties.ndcg(lambda _: np.arange(100.0)[None, ::-1]) == 1.0


def test_held_out_ratings_are_not_in_the_training_data_and_are_measured():
    ratings = clusters(n_users=200)
    train, held_out = split_validation(ratings, share=0.05, seed=0)
    assert len(train) + len(held_out) == len(ratings)
    validation_users = np.unique(ratings.users[held_out])
    assert len(validation_users) <= 40
    scale = infer_scale(train.values, DchConfig(), graded=True)
    both_bags = make_training_bags(train, scale, min_token_count=1)
    found = make_validation(ratings, held_out, both_bags, scale.positive_from)
    liked = list(zip(*found.relevant.cells(slice(0, len(found.users))), strict=True))
    assert len(liked) == (ratings.values[held_out] >= 4).sum()
    assert not set(liked) & set(zip(*found.seen.cells(slice(0, len(found.users))), strict=True))
    for position, item in liked:
        pair = (
            ratings.user_ids.row(both_bags[0].ids[found.users[position]]),
            ratings.item_ids.row(both_bags[1].ids[item]),
        )
        assert np.flatnonzero((ratings.users == pair[0]) & (ratings.items == pair[1]))[0] in held_out
    rated = found.seen.columns[: found.seen.starts[1]]
    assert rated.tolist() == _bag(both_bags[0], found.users[0])


def test_scores_of_nan_give_an_ndcg_of_zero():
    measure = _validation([[1, 0, 1, 0]], [[0, 1, 0, 0]], [0.9, 0.25, 0.5, 0.75])
    assert measure.ndcg(lambda _: np.full((1, 4), np.nan)) == 0


@pytest.mark.parametrize("vector_size", [0, 8])
def test_the_measure_is_the_mean_over_lists_by_codes_and_lists_by_vectors_if_there_are_any(vector_size):
    config = replace(CONFIG, vector_size=vector_size)
    training_data = make_training_data(clusters(n_users=200), config, None)
    rng = np.random.default_rng(0)
    nets = tuple(TowerNet(random_weights(bags, config, rng)) for bags in training_data.bags)
    batches = [whole_bags(bags, np.arange(len(bags)), 1.0) for bags in training_data.bags]
    with torch.no_grad():
        (codes, vectors), (item_codes, item_vectors) = (
            net.codes_and_vectors(batch) for net, batch in zip(nets, batches, strict=True)
        )
    validation = training_data.validation
    scores = [(torch.sign(codes) @ torch.sign(item_codes).T).numpy(), (vectors @ item_vectors.T).numpy()]
    found = [validation.ndcg(lambda block, users=one[validation.users]: users[block]) for one in scores]
    expected = fmean(found) if vector_size else found[0]
    assert make_measure(nets, training_data.bags, validation, config)() == pytest.approx(expected)


def test_towers_that_diverged_score_zero():
    training_data = make_training_data(clusters(n_users=200), CONFIG, None)
    nets = tuple(
        TowerNet(random_weights(bags, CONFIG, np.random.default_rng(0))) for bags in training_data.bags
    )
    measure = make_measure(nets, training_data.bags, training_data.validation, CONFIG)
    assert measure() > 0
    with torch.no_grad():
        nets[0].output.fill_(torch.nan)
    assert measure() == 0
