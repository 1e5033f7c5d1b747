import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.net import TowerNet
from dch.training.scale import read_scale
from dch.training.start import bag_sums, itq, random_start, ridge, teacher_start
from dch.training.teacher import fit_teacher
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters


@given(st.sampled_from([8, 16, 24]))
def test_the_rotation_is_orthonormal_on_its_shorter_side(bits):
    vectors = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
    rotation = itq(vectors, bits, np.random.default_rng(1))
    gram = rotation.T @ rotation if bits <= 16 else rotation @ rotation.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-4)


def test_the_rotation_brings_vectors_nearer_to_their_signs():
    vectors = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    drawn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)).astype(np.float32))

    def distance(rotation):
        turned = vectors @ rotation
        return np.square(turned - np.sign(turned)).sum()

    assert distance(itq(vectors, 16, np.random.default_rng(1))) < 0.98 * distance(drawn)


def test_ridge_finds_a_linear_map_again():
    x = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    wanted = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)
    np.testing.assert_allclose(ridge(x, x @ wanted), wanted, atol=0.1)


def test_the_first_codes_already_tell_the_clusters_apart():
    config = DchConfig(bits=32, hidden=64, teacher_factors=8, teacher_alpha=5.0, rating_weights="graded")
    ratings = clusters()
    sides = make_training_bags(ratings, read_scale(ratings.values, config, graded=True), min_token_count=3)
    teacher = fit_teacher(sides[0], config)
    starts = teacher_start(sides, teacher, config, np.random.default_rng(0))
    users, items = (
        np.sign(TowerNet(start)(whole_bags(side, np.arange(len(side)), 0.0)).detach().numpy())
        for side, start in zip(sides, starts, strict=True)
    )
    same = np.array([[int(u[1:]) % 4 == int(i[1:]) % 4 for i in sides[1].ids] for u in sides[0].ids])
    products = users @ items.T
    assert products[same].mean() > products[~same].mean() + 8


def test_bag_sums_pass_over_feature_tokens():
    config = DchConfig(bits=8, hidden=8)
    ratings = clusters(n_users=8, n_items=8, features=True)
    item_side = make_training_bags(
        ratings, read_scale(ratings.values, config, graded=True), min_token_count=1
    )[1]
    sums = bag_sums(np.ones((item_side.n_other, 2), np.float32), item_side)
    first = item_side.weights[: item_side.starts[1]]
    np.testing.assert_allclose(sums[0], first.sum() / np.sqrt(np.square(first).sum()), rtol=1e-5)


def test_a_random_start_is_drawn_from_the_generator_it_is_given():
    side = make_training_bags(
        clusters(), read_scale(np.array([1, 5], np.float32), DchConfig(), graded=True), min_token_count=1
    )[0]
    config = DchConfig(bits=8, hidden=8)
    once, again = (random_start(side, config, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(once.bag, again.bag)
    assert np.array_equal(once.output, again.output)
