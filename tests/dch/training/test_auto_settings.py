from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.training import auto_settings as choice
from dch.training.auto_settings import settled
from tests.dch.random_models import random_model
from tests.dch.training.data import clusters, four_ratings

OPEN = DchConfig(teacher_regularization=1.0, teacher_iterations=3)


def _where_heights_mislead(seed=0):
    """Users rate their own cluster at any height: that they rated tells all, the height nothing."""
    ratings = clusters(n_users=200, share=0.8)
    values = np.random.default_rng(seed).integers(1, 6, len(ratings)).astype(np.float32)
    return replace(ratings, values=values)


def _named(config):
    return config.rating_weights, config.teacher_alpha, config.teacher_factors


def _told(monkeypatch, means, noise=0.0):
    """Tell the quality of each choice for 100 users, and note in what order choices are tried."""
    tried = []

    def quality(config, *_):
        tried.append(_named(config))
        return means.get(tried[-1], 0.1) + noise * np.random.default_rng(len(tried)).standard_normal(100)

    monkeypatch.setattr(choice, "_quality", quality)
    return tried


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ({("binary", 20.0, 64): 0.4, ("graded", 20.0, 64): 0.2}, ("binary", 20.0, 64)),
        ({("binary", 20.0, 64): 0.2, ("graded", 5.0, 64): 0.4}, ("graded", 5.0, 64)),
        ({("binary", 20.0, 64): 0.2, ("binary", 20.0, 128): 0.3}, ("binary", 20.0, 128)),
    ],
    ids=["binary", "graded", "more factors"],
)
def test_what_is_best_on_held_out_ratings_is_chosen_and_nothing_tried_twice(monkeypatch, means, chosen):
    tried = _told(monkeypatch, means, noise=0.01)
    assert _named(settled(OPEN, clusters(n_users=200), None)) == chosen
    assert len(tried) == len(set(tried)) == 5


def test_where_all_are_the_same_the_plain_and_small_is_chosen(monkeypatch):
    _told(monkeypatch, {})
    assert _named(settled(OPEN, clusters(n_users=200), None)) == ("binary", 5.0, 64)


def test_a_gain_within_chance_brings_no_heights_and_no_factors(monkeypatch):
    means = {("graded", 5.0, 64): 0.101, ("binary", 5.0, 128): 0.101}
    _told(monkeypatch, means, noise=0.05)
    assert _named(settled(OPEN, clusters(n_users=200), None)) == ("binary", 5.0, 64)
    _told(monkeypatch, means, noise=0.0001)
    assert _named(settled(OPEN, clusters(n_users=200), None)) == ("graded", 5.0, 64)


def test_where_the_height_of_ratings_misleads_they_weigh_the_same():
    config = replace(OPEN, teacher_alpha=20.0, teacher_factors=8)
    assert settled(config, _where_heights_mislead(), None).rating_weights == "binary"


def test_what_is_given_stays_and_costs_no_fit(monkeypatch):
    monkeypatch.setattr(choice, "fit_teacher", None)
    given = replace(OPEN, rating_weights="binary", teacher_alpha=3.0, teacher_factors=5)
    assert settled(given, clusters(n_users=200), None) == given


def _where_heights_tell():
    """Users rate everything now and then, their own cluster 5, the rest 1."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((200, 60)) < 0.4)
    values = np.where(users % 4 == items % 4, 5.0, 1.0)
    return Ratings.from_events([f"u{row}" for row in users], [f"i{row}" for row in items], values)


def test_where_the_height_of_ratings_tells_all_they_weigh_by_it():
    config = replace(OPEN, teacher_alpha=20.0, teacher_factors=8)
    assert settled(config, _where_heights_tell(), None).rating_weights == "graded"


@pytest.mark.parametrize(
    ("config", "ratings"),
    [(OPEN, four_ratings()), (replace(OPEN, objective="rating"), clusters(n_users=200))],
    ids=["few users", "no teacher"],
)
def test_where_there_is_nothing_to_try_the_first_of_each_is_taken(config, ratings):
    assert _named(settled(config, ratings, None)) == ("graded", 5.0, 64)


def test_a_handful_of_users_with_something_relevant_decides_nothing(monkeypatch):
    monkeypatch.setattr(choice, "_quality", lambda *_: np.ones(9))
    assert _named(settled(OPEN, clusters(n_users=200), None)) == ("graded", 5.0, 64)


def _model(knots, **settings):
    return replace(random_model(), rating_knots=np.array(knots, np.float32), settings=settings)


def test_a_refit_keeps_what_was_chosen_before():
    before = _model([[5, 1]], rating_weights="binary", teacher_alpha=20.0, teacher_factors=128)
    assert _named(settled(OPEN, clusters(n_users=200), before)) == ("binary", 20.0, 128)
    assert _named(settled(replace(OPEN, teacher_alpha=1.0), clusters(n_users=200), before))[1] == 1.0


@pytest.mark.parametrize(("knots", "weights"), [([[5, 1]], "binary"), ([[1, 0.1], [5, 1]], "graded")])
def test_the_knots_of_an_old_model_tell_what_its_settings_leave_open(knots, weights):
    before = _model(knots, rating_weights="auto", teacher_alpha=None)
    assert _named(settled(OPEN, clusters(n_users=200), before)) == (weights, 5.0, 64)


def test_knots_given_as_lists_are_no_trouble():
    knots = [[1.0, 0.1], [5.0, 1.0]]
    config = replace(OPEN, rating_knots=knots, teacher_factors=8)
    assert settled(config, clusters(n_users=200), None).rating_knots == knots


def test_flat_ratings_have_no_height_to_ask_about(monkeypatch):
    asked = []
    monkeypatch.setattr(
        choice, "_quality", lambda config, *_: asked.append(config.rating_weights) or np.ones(9)
    )
    ratings = clusters(n_users=200)
    settled(OPEN, replace(ratings, values=np.full(len(ratings), 5.0, np.float32)), None)
    assert set(asked) == {"graded"}
