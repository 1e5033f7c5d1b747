"""Feature codes: the regression against a dense one, and codes of items without ratings."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_matrix

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.feature_regression import (
    FEW_RATINGS,
    REGULARIZATION,
    fit_feature_codes,
    frequent_pairs,
    sparse_ridge,
)
from dch.training.initial_weights import weights_from_teacher
from dch.training.rating_weights import infer_scale
from dch.training.teacher import fit_teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(
    bits=32,
    hidden=64,
    teacher_factors=8,
    teacher_alpha=5.0,
    teacher_regularization=50.0,
    rating_weights="graded",
)


@pytest.mark.parametrize("regularization", [0.1, 2.0])
def test_the_regression_equals_the_solution_of_the_normal_equations(regularization):
    rng = np.random.default_rng(0)
    x = random_matrix(200, 30, 0.2, format="csr", random_state=0)
    y = rng.standard_normal((200, 5)).astype(np.float32)
    dense = x.toarray()
    wanted = np.linalg.solve(dense.T @ dense + regularization * np.eye(30), dense.T @ y)
    np.testing.assert_allclose(sparse_ridge(x, y, regularization), wanted, atol=1e-4)


def test_a_token_without_rows_and_an_empty_regression_give_zeros():
    x = random_matrix(20, 4, 0.5, format="csr", random_state=0).tolil()
    x[:, 2] = 0
    found = sparse_ridge(x.tocsr(), np.ones((20, 3), np.float32), 1.0)
    assert not found[2].any()
    assert np.isfinite(found).all()


def item_tower(ratings):
    """Return the item tower before training, whose codes are those of the teacher, and the bags of items."""
    scale = infer_scale(ratings.values, CONFIG, graded=True)
    both_bags = make_training_bags(ratings, scale, min_token_count=3)
    teacher = fit_teacher(both_bags[0], CONFIG)
    _, item = weights_from_teacher(both_bags, teacher, CONFIG, np.random.default_rng(0))
    return item, both_bags[1]


def outputs_of(tower, bags):
    outputs = TowerNet(tower).codes_and_vectors(whole_bags(bags, np.arange(len(bags)), 1.0))
    return np.concatenate([part.detach().numpy() for part in outputs], axis=1)


def with_two_features():
    """Return the bags of items of which half have a second feature."""
    ratings = clusters(n_items=140, features=True)
    more = {
        id_: {**record, "old": "yes"} if int(id_[1:]) % 3 else record
        for id_, record in ratings.item_features.items()
    }
    return item_tower(replace(ratings, item_features=more))


def test_feature_codes_are_the_weighted_regression_to_what_the_tower_makes_of_rated_items():
    tower, bags = with_two_features()
    found = fit_feature_codes(tower, bags, 1.0)
    n, n_tokens = np.diff(bags.starts), len(bags.feature_names)
    assert len(found.pairs) == 4  # each kind with "old"
    x = np.zeros((len(bags), n_tokens + len(found.pairs) + 1))
    for row in range(len(bags)):
        tokens = bags.feature_tokens[bags.feature_starts[row] : bags.feature_starts[row + 1]] - bags.n_other
        x[row, [*tokens, -1]] = 1
    for at, pair in enumerate(found.pairs.tolist()):
        x[:, n_tokens + at] = 0.5 * x[:, pair >> 32] * x[:, pair & 0xFFFFFFFF]
    weighted = x.T * (n / (n + FEW_RATINGS))
    gram = weighted @ x + REGULARIZATION * np.eye(x.shape[1])
    wanted = np.linalg.solve(gram, weighted @ outputs_of(tower, bags))
    wanted[n_tokens:-1] *= 0.5
    assert found.table.dtype == np.float32
    np.testing.assert_allclose(found.table, wanted, atol=1e-4)


@pytest.mark.parametrize(("least", "n_kept"), [(60, 20), (100, 8)])
def test_the_most_frequent_pairs_are_kept(monkeypatch, least, n_kept):
    rng = np.random.default_rng(0)
    dense = rng.random((200, 12)) < np.linspace(0.1, 0.9, 12)
    monkeypatch.setattr("dch.training.feature_regression.PAIRED_TOKENS", 8)
    monkeypatch.setattr("dch.training.feature_regression.MAX_PAIRS", 20)
    monkeypatch.setattr("dch.training.feature_regression.MIN_PAIR_ITEMS", least)
    frequent = sorted(range(12), key=lambda column: -dense[:, column].sum())[:8]
    counts = {
        (first << 32) | second: int((dense[:, first] & dense[:, second]).sum())
        for first, second in combinations(sorted(frequent), 2)
    }
    kept = sorted(counts, key=lambda pair: (-counts[pair], pair))[:20]
    wanted = sorted(pair for pair in kept if counts[pair] >= least)
    assert len(wanted) == n_kept
    assert frequent_pairs(csr_matrix(dense.astype(np.float32))).tolist() == wanted


def test_features_alone_give_codes_close_to_those_of_the_items_that_have_them():
    tower, bags = item_tower(clusters(features=True))
    by_features = fit_feature_codes(tower, bags, 1.0)
    found = by_features.outputs(bags.feature_starts, bags.feature_tokens - bags.n_other)
    rated = outputs_of(tower, bags)[:, : CONFIG.bits]
    assert (np.sign(found[:, : CONFIG.bits]) == np.sign(rated)).mean() > 0.8


def test_without_item_features_there_are_no_feature_codes():
    tower, bags = item_tower(clusters(features=False))
    assert fit_feature_codes(tower, bags, 1.0).is_empty
