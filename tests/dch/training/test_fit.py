from dataclasses import replace

import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError, DchError, RatingsError
from dch.models.codes import pack, unpack
from dch.state.state import State
from dch.training import fit_model
from dch.training import update as update_module
from dch.training.loop import torch_threads
from dch.training.rating_weights import RatingScale
from dch.training.training_bags import make_training_bags
from dch.training.validation import make_validation
from tests.dch.random_models import encode_items, item_codes
from tests.dch.training.data import clusters, four_ratings

SMALL = DchConfig(
    bits=32,
    hidden=48,
    teacher_factors=8,
    teacher_regularization=1.0,
    steps=60,
    batch=64,
    rating_weights="graded",
)


def _split(ratings, seed=0):
    test = np.random.default_rng(seed).random(len(ratings)) < 0.3
    return ratings.subset(~test), np.flatnonzero(test)


def _ndcg(ratings, train, test, scores_of):
    scale = RatingScale(np.array([[1.0, 1.0]], np.float32), 4.0)
    both_bags = make_training_bags(train, scale, min_token_count=1)
    validation = make_validation(ratings, test, both_bags, 4.0)
    scores = scores_of(*both_bags)[validation.users]
    return validation.ndcg(lambda block: scores[block])


def _code_scores(model, train):
    users = np.sign(model.encode_users(train.by_user, train.item_ids))
    items = np.sign(encode_items(model, train.by_item, train.user_ids))
    return lambda user_bags, item_bags: (
        users[train.user_ids.rows(user_bags.ids)] @ items[train.item_ids.rows(item_bags.ids)].T
    )


def test_planted_clusters_are_found_twice_as_well_as_by_popularity():
    ratings = clusters()
    train, test = _split(ratings)
    model = fit_model(train, SMALL)
    by_codes = _ndcg(ratings, train, test, _code_scores(model, train))
    by_popularity = _ndcg(ratings, train, test, lambda u, i: np.zeros((len(u), len(i))))
    assert by_codes > 2 * by_popularity
    assert by_codes > 0.5


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_rating_objective_fits_products_of_codes_to_the_ratings(optimizer):
    ratings = clusters()
    config = replace(SMALL, objective="rating", steps=150, early_stopping=False, optimizer=optimizer)
    model = fit_model(ratings, config)
    users = np.sign(model.encode_users(ratings.by_user, ratings.item_ids))[ratings.users]
    items = np.sign(encode_items(model, ratings.by_item, ratings.user_ids))[ratings.items]
    products, scaled = (users * items).mean(axis=1), 2 * (ratings.values - 2) / 3 - 1  # values are 2 and 5
    assert np.square(products - scaled).mean() < 0.5 * scaled.var()
    assert products[ratings.values == 5].mean() > products[ratings.values == 2].mean() + 0.25


def test_with_the_default_mu_codes_predict_ratings_as_well_as_relaxed_codes_do():
    ratings = clusters()

    def errors(mu):
        config = replace(SMALL, objective="rating", steps=150, early_stopping=False, mu=mu)
        model = fit_model(ratings, config)
        users = model.encode_users(ratings.by_user, ratings.item_ids)[ratings.users]
        items = encode_items(model, ratings.by_item, ratings.user_ids)[ratings.items]
        scaled = 2 * (ratings.values - 2) / 3 - 1  # values are 2 and 5
        products = (users * items).mean(axis=1), (np.sign(users) * np.sign(items)).mean(axis=1)
        return [np.square(one - scaled).mean() for one in products]

    relaxed, codes = errors(DchConfig().mu)
    assert codes < 1.1 * relaxed
    assert codes < 0.5 * errors(0.1)[1]


def _arrays(model):
    return [
        getattr(tower, name)
        for tower in (model.user_tower, model.item_tower)
        for name in ("bag", "bias", "count", "gain", "shift", "output", "output_bias")
    ]


@pytest.mark.parametrize("objective", ["ranking", "rating"])
def test_equal_seeds_give_equal_models_and_different_seeds_different_ones(objective):
    config = replace(SMALL, objective=objective, steps=8)
    ratings = clusters(n_users=60, features=True)
    once, again, other = (fit_model(ratings, replace(config, seed=seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(_arrays(once), _arrays(again), strict=True))
    assert once.metrics == again.metrics
    assert not np.array_equal(once.user_tower.bag, other.user_tower.bag)


def test_an_item_without_ratings_is_encoded_by_its_features():
    ratings = clusters(features=True)
    model = fit_model(ratings, SMALL)
    state = State(model)
    for kind in range(4):
        state.set_item(f"new {kind}", {"kind": f"k{kind}"})
    state.refresh_items()
    codes = np.frombuffer(b"".join(item_codes(state)[f"new {kind}"] for kind in range(4)), np.uint8)
    items = unpack(codes.reshape(4, -1), model.bits)
    users = np.sign(model.encode_users(ratings.by_user, ratings.item_ids))
    products = users @ items.T
    expected = np.array([int(id_[1:]) % 4 for id_ in ratings.user_ids])
    assert (products.argmax(axis=1) == expected).mean() > 0.8


@pytest.mark.parametrize("objective", ["ranking", "rating"])
@pytest.mark.parametrize("bits", [8, 64])
def test_tiny_data_can_be_fitted(objective, bits):
    rng = np.random.default_rng(0)
    users, items = (rng.integers(0, 10, 40).astype(str).tolist() for _ in range(2))
    ratings = Ratings.from_events(users, items, rng.integers(1, 6, 40).astype(float))
    model = fit_model(ratings, DchConfig(bits=bits, hidden=64, objective=objective, steps=5))
    assert pack(model.encode_users(ratings.by_user, ratings.item_ids)).shape == (ratings.n_users, bits // 8)


@pytest.mark.parametrize("objective", ["ranking", "rating"])
@pytest.mark.parametrize(
    "ratings", [Ratings.from_events(["a"], ["b"], [1.0]), four_ratings()], ids=["one", "four"]
)
def test_one_and_four_ratings_can_be_fitted(objective, ratings):
    model = fit_model(ratings, DchConfig(bits=8, hidden=16, objective=objective, steps=3))
    assert np.isfinite(encode_items(model, ratings.by_item, ratings.user_ids)).all()
    chosen = {"neighbour_share": 0.0} if objective == "ranking" else {}  # too few users to decide on any
    assert model.metrics == {"steps": 3.0, "fitted_ratings": len(ratings), **chosen}


def test_no_ratings_are_an_error():
    with pytest.raises(RatingsError, match="nothing to fit on: found 0 ratings"):
        fit_model(Ratings.from_events([], [], []), DchConfig())


def test_a_device_that_does_not_exist_is_an_error():
    with pytest.raises(ConfigError, match="device cuda:99 does not exist"):
        fit_model(four_ratings(), DchConfig(device="cuda:99"))


def test_sgd_learns_too():
    ratings = clusters()
    train, test = _split(ratings)
    model = fit_model(train, replace(SMALL, optimizer="sgd"))
    by_popularity = _ndcg(ratings, train, test, lambda u, i: np.zeros((len(u), len(i))))
    assert _ndcg(ratings, train, test, _code_scores(model, train)) > 2 * by_popularity


def test_ratings_of_equal_value_weigh_one():
    ratings = clusters()
    flat = replace(ratings, values=np.full(len(ratings), 5.0, np.float32))
    assert fit_model(flat, replace(SMALL, steps=2)).rating_knots.tolist() == [[5.0, 1.0]]


@pytest.mark.parametrize("objective", ["ranking", "rating"])
def test_a_fit_that_diverges_gives_no_model(objective):
    config = replace(SMALL, objective=objective, learning_rate=1e30, steps=5, early_stopping=False)
    with pytest.raises(DchError, match="the fit diverged"):
        fit_model(clusters(), config)


@pytest.mark.parametrize(("threads", "expected"), [(None, 1), (2, 2)])
def test_fits_and_updates_use_one_thread_unless_told_otherwise(threads, expected, monkeypatch):
    ratings, used = four_ratings(), []
    config = replace(SMALL, steps=2, threads=threads)
    run_steps = update_module.run_steps

    def spy(*arguments):
        used.append(torch.get_num_threads())
        return run_steps(*arguments)

    monkeypatch.setattr(update_module, "run_steps", spy)
    with torch_threads(3):
        model = fit_model(ratings, config, progress=lambda *_: used.append(torch.get_num_threads()))
        update_module.update_model(model, ratings, ratings, config, seed=0, steps=1)
        assert torch.get_num_threads() == 3
    assert used == [expected] * 3
