import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.training import fit_model
from dch.training.batches import whole_bags
from dch.training.initial_weights import (
    bag_sums,
    itq,
    random_weights,
    ridge,
    weights_from_model,
    weights_from_teacher,
)
from dch.training.rating_weights import infer_scale
from dch.training.teacher import fit_teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import make_training_bags
from dch.training.training_data import make_training_data
from tests.dch.training.data import clusters

REFIT_CONFIG = DchConfig(
    bits=16, hidden=32, teacher_factors=8, teacher_regularization=1.0, steps=10, batch=64
)


@given(st.sampled_from([8, 16, 24]))
def test_the_rotation_is_orthonormal_on_its_shorter_side(bits):
    vectors = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
    rotation = itq(vectors, bits, np.random.default_rng(1))
    gram = rotation.T @ rotation if bits <= 16 else rotation @ rotation.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-4)


def test_the_rotation_moves_vectors_closer_to_their_signs():
    vectors = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    random_rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)).astype(np.float32))

    def distance(rotation):
        rotated = vectors @ rotation
        return np.square(rotated - np.sign(rotated)).sum()

    assert distance(itq(vectors, 16, np.random.default_rng(1))) < 0.98 * distance(random_rotation)


def test_ridge_recovers_a_linear_map():
    x = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    wanted = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)
    np.testing.assert_allclose(ridge(x, x @ wanted), wanted, atol=0.1)


def test_codes_from_the_teacher_separate_the_clusters_before_any_step():
    config = DchConfig(
        bits=32,
        hidden=64,
        teacher_factors=8,
        teacher_alpha=5.0,
        teacher_regularization=50.0,
        rating_weights="graded",
    )
    ratings = clusters()
    both_bags = make_training_bags(
        ratings, infer_scale(ratings.values, config, graded=True), min_token_count=3
    )
    teacher = fit_teacher(both_bags[0], config)
    weights = weights_from_teacher(both_bags, teacher, config, np.random.default_rng(0))
    users, items = (
        np.sign(TowerNet(of_side)(whole_bags(bags, np.arange(len(bags)), 0.0)).detach().numpy())
        for bags, of_side in zip(both_bags, weights, strict=True)
    )
    same = np.array([[int(u[1:]) % 4 == int(i[1:]) % 4 for i in both_bags[1].ids] for u in both_bags[0].ids])
    products = users @ items.T
    assert products[same].mean() > products[~same].mean() + 8


def test_bag_sums_ignore_feature_tokens():
    config = DchConfig(bits=8, hidden=8)
    ratings = clusters(n_users=8, n_items=8, features=True)
    item_bags = make_training_bags(
        ratings, infer_scale(ratings.values, config, graded=True), min_token_count=1
    )[1]
    sums = bag_sums(np.ones((item_bags.n_other, 2), np.float32), item_bags)
    first = item_bags.weights[: item_bags.starts[1]]
    np.testing.assert_allclose(sums[0], first.sum() / np.sqrt(np.square(first).sum()), rtol=1e-5)


def test_equal_generators_give_equal_random_weights():
    bags = make_training_bags(
        clusters(), infer_scale(np.array([1, 5], np.float32), DchConfig(), graded=True), min_token_count=1
    )[0]
    config = DchConfig(bits=8, hidden=8)
    once, again = (random_weights(bags, config, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(once.bag, again.bag)
    assert np.array_equal(once.output, again.output)


def test_known_ids_keep_their_rows_and_new_ids_start_from_the_teacher():
    old = clusters(n_users=60, n_items=40)
    start = fit_model(old, REFIT_CONFIG)
    new = clusters(n_users=80, n_items=48)
    training_data = make_training_data(new, REFIT_CONFIG, start)
    user, item = weights_from_model(start, training_data)
    assert np.array_equal(user.output, start.user_tower.output)
    for position, id_ in enumerate(training_data.bags[1].ids):
        row = start.item_ids.row(id_)
        if row >= 0:
            assert np.array_equal(user.bag[position], start.user_tower.bag[row])
        else:
            assert user.bag[position].any()
    assert np.isfinite(item.bag).all()
