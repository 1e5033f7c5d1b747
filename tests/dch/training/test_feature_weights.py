"""Embeddings of item features: the regression against a dense one, and codes of items without ratings."""

import numpy as np
import pytest
from scipy.sparse import random as random_matrix

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.feature_weights import fit_feature_embeddings, sparse_ridge
from dch.training.initial_weights import weights_from_teacher
from dch.training.rating_weights import infer_scale
from dch.training.teacher import fit_teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags, make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=32, hidden=64, teacher_factors=8, teacher_alpha=5.0, rating_weights="graded")


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


def item_tower(features):
    ratings = clusters(features=features)
    scale = infer_scale(ratings.values, CONFIG, graded=True)
    both_bags = make_training_bags(ratings, scale, min_token_count=3)
    teacher = fit_teacher(both_bags[0], CONFIG)
    _, item = weights_from_teacher(both_bags, teacher, CONFIG, np.random.default_rng(0))
    return TowerNet(item), both_bags[1]


def without_ratings(bags):
    """Return the bags of the same items with their features alone."""
    nothing = np.empty(0, np.int32)
    starts, floats = np.zeros(len(bags) + 1, np.int64), np.empty(0, np.float32)
    features = (bags.feature_names, bags.feature_starts, bags.feature_tokens, bags.n_other)
    return TrainingBags(bags.ids, starts, nothing, floats, floats, floats, *features)


def test_features_alone_give_codes_close_to_those_of_the_items_that_have_them():
    net, bags = item_tower(features=True)
    rows = np.arange(len(bags))
    rated = np.sign(net(whole_bags(bags, rows, 0.0)).detach().numpy())
    before = net(whole_bags(without_ratings(bags), rows, 1.0)).detach().numpy()
    fit_feature_embeddings(net, bags)
    after = net(whole_bags(without_ratings(bags), rows, 1.0)).detach().numpy()
    same = (np.sign(after) == rated).mean()
    assert same > 0.8 > (np.sign(before) == rated).mean()
    kinds = np.array([int(item[1:]) % 4 for item in bags.ids])
    assert all(len({code.tobytes() for code in after[kinds == kind]}) == 1 for kind in range(4))


def test_embeddings_of_users_stay_and_a_fit_without_features_changes_nothing():
    net, bags = item_tower(features=True)
    before = net.bag.detach().numpy().copy()
    fit_feature_embeddings(net, bags)
    after = net.bag.detach().numpy()
    assert np.array_equal(after[: bags.n_other], before[: bags.n_other])
    assert np.abs(after - before)[bags.n_other :].max() > 0.01
    net, bags = item_tower(features=False)
    before = net.bag.detach().numpy().copy()
    fit_feature_embeddings(net, bags)
    assert np.array_equal(net.bag.detach().numpy(), before)
