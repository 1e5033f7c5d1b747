from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.training import auto_settings
from dch.training.auto_settings import CHOICES, CONFIDENCES, resolve_auto_settings
from dch.training.validation_split import split_validation
from tests.dch.random_models import random_model
from tests.dch.training.data import clusters, four_ratings

AUTO = DchConfig(teacher_regularization=1.0, teacher_iterations=3, teacher_neighbours=None)


def _ratings_with_random_values(seed=0):
    """Users rate their own cluster with random values: what they rated is informative, the values are not."""
    ratings = clusters(n_users=200, share=0.8)
    values = np.random.default_rng(seed).integers(1, 6, len(ratings)).astype(np.float32)
    return replace(ratings, values=values)


def _choices(config):
    return config.rating_weights, config.teacher_alpha, config.teacher_factors


def _fake_quality(monkeypatch, means, noise=0.0, of_neighbours=0.0):
    """Replace the quality of each choice, for 100 users, and return the list of the choices tried."""
    tried = []

    def quality(config, *_):
        tried.append(_choices(config))
        return means.get(tried[-1], 0.1) + noise * np.random.default_rng(len(tried)).standard_normal(100)

    monkeypatch.setattr(auto_settings, "_quality", quality)
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        auto_settings,
        "_quality_of_neighbours",
        lambda *_: of_neighbours + noise * rng.standard_normal(100),
    )
    return tried


@pytest.mark.parametrize(
    ("of_neighbours", "noise", "share"),
    [(0.2, 0.01, 0.5), (0.109, 0.0001, 0.0), (0.112, 0.0001, 0.5), (0.112, 0.05, 0.0)],
    ids=["far better", "not better by a tenth", "clearly better by a tenth", "within two standard errors"],
)
def test_neighbours_teach_if_they_are_clearly_better_by_a_tenth(monkeypatch, of_neighbours, noise, share):
    _fake_quality(monkeypatch, {}, noise, of_neighbours)
    auto = replace(AUTO, rating_weights="graded", teacher_alpha=5.0, teacher_factors=64)
    assert resolve_auto_settings(auto, clusters(n_users=200), None).teacher_neighbours == share
    for given in (0.0, 1.0):
        config = replace(auto, teacher_neighbours=given)
        assert resolve_auto_settings(config, clusters(n_users=200), None).teacher_neighbours == given


def test_both_kinds_of_teacher_are_measured_on_the_same_users():
    train = clusters(n_users=200)
    config = replace(AUTO, rating_weights="graded", teacher_alpha=5.0, teacher_factors=4)
    rest, held_out = split_validation(train, share=1.0, seed=1, max_users=200)
    arguments = config, train, rest, held_out
    by_factors, by_neighbours = (
        auto_settings._quality(*arguments),
        auto_settings._quality_of_neighbours(*arguments),
    )
    assert len(by_factors) == len(by_neighbours) > 50
    assert min(by_factors.mean(), by_neighbours.mean()) > 0.5  # clusters are easy


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ({("binary", 20.0, 64): 0.4, ("graded", 20.0, 64): 0.2}, ("binary", 20.0, 64)),
        ({("binary", 20.0, 64): 0.2, ("graded", 5.0, 64): 0.4}, ("graded", 5.0, 64)),
        (
            {("graded", 20.0, 64): 0.2, ("binary", 20.0, 64): 0.2, ("binary", 20.0, 256): 0.3},
            ("binary", 20.0, 256),
        ),
    ],
    ids=["binary", "graded", "more factors"],
)
def test_the_best_choice_on_held_out_ratings_is_taken_and_nothing_is_tried_twice(monkeypatch, means, chosen):
    tried = _fake_quality(monkeypatch, means, noise=0.01)
    assert _choices(resolve_auto_settings(AUTO, clusters(n_users=200), None)) == chosen
    assert len(tried) == len(set(tried)) == 5


def test_equal_quality_gives_binary_weights_and_few_factors(monkeypatch):
    _fake_quality(monkeypatch, {})
    assert _choices(resolve_auto_settings(AUTO, clusters(n_users=200), None)) == ("binary", 5.0, 64)


def test_graded_weights_need_a_gain_of_two_standard_errors(monkeypatch):
    means, config = {("graded", 5.0, 64): 0.101}, replace(AUTO, teacher_alpha=5.0, teacher_factors=64)
    _fake_quality(monkeypatch, means, noise=0.05)
    assert _choices(resolve_auto_settings(config, clusters(n_users=200), None)) == ("binary", 5.0, 64)
    _fake_quality(monkeypatch, means, noise=0.0001)
    assert _choices(resolve_auto_settings(config, clusters(n_users=200), None)) == ("graded", 5.0, 64)


@pytest.mark.parametrize(("gain", "factors"), [(0.001, 256), (0.0, 64), (-0.001, 64)])
def test_more_factors_need_to_be_better_on_average(monkeypatch, gain, factors):
    _fake_quality(monkeypatch, {("binary", 5.0, 256): 0.1 + gain})
    config = replace(AUTO, teacher_alpha=5.0, rating_weights="binary")
    assert _choices(resolve_auto_settings(config, clusters(n_users=200), None)) == ("binary", 5.0, factors)


def _fake_quality_by_confidence(monkeypatch, means):
    """Replace the quality of each confidence and regularisation, and return the list of those tried."""
    tried = []

    def quality(config, *_):
        tried.append((config.teacher_alpha, config.teacher_regularization))
        return np.full(100, means.get(tried[-1], 0.1))

    monkeypatch.setattr(auto_settings, "_quality", quality)
    return tried


def _confidence(config):
    return config.teacher_alpha, config.teacher_regularization


@pytest.mark.parametrize("best", CONFIDENCES)
def test_confidence_and_regularization_are_chosen_together(monkeypatch, best):
    tried = _fake_quality_by_confidence(monkeypatch, {best: 0.2})
    config = replace(AUTO, teacher_regularization=None, rating_weights="graded", teacher_factors=8)
    config = replace(config, teacher_neighbours=0.0)
    assert _confidence(resolve_auto_settings(config, clusters(n_users=200), None)) == best
    assert tried == list(CONFIDENCES)


@pytest.mark.parametrize(
    ("fixed", "best", "tried"),
    [
        ({"teacher_alpha": 3.0}, (3.0, 100.0), [(3.0, 50.0), (3.0, 100.0)]),
        (
            {"teacher_regularization": 7.0},
            (20.0, 7.0),
            [(5.0, 7.0), (10.0, 7.0), (20.0, 7.0)],
        ),
    ],
    ids=["confidence", "regularization"],
)
def test_with_one_of_both_set_only_the_other_is_searched(monkeypatch, fixed, best, tried):
    found = _fake_quality_by_confidence(monkeypatch, {best: 0.2})
    config = replace(AUTO, rating_weights="graded", teacher_factors=8, teacher_neighbours=0.0)
    config = replace(config, **{"teacher_regularization": None, **fixed})
    assert _confidence(resolve_auto_settings(config, clusters(n_users=200), None)) == best
    assert found == tried


def test_uninformative_rating_values_give_binary_weights():
    config = replace(AUTO, teacher_alpha=20.0, teacher_factors=8)
    assert resolve_auto_settings(config, _ratings_with_random_values(), None).rating_weights == "binary"


def test_settings_that_are_set_stay_and_cost_no_fit(monkeypatch):
    monkeypatch.setattr(auto_settings, "fit_teacher", None)
    all_set = replace(
        AUTO, rating_weights="binary", teacher_alpha=3.0, teacher_factors=5, teacher_neighbours=0.0
    )
    assert resolve_auto_settings(all_set, clusters(n_users=200), None) == all_set


def _ratings_with_informative_values():
    """Users rate random items of all clusters: those of their own cluster 5, the others 1."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((200, 60)) < 0.4)
    values = np.where(users % 4 == items % 4, 5.0, 1.0)
    return Ratings.from_events([f"u{row}" for row in users], [f"i{row}" for row in items], values)


def test_informative_rating_values_give_graded_weights():
    config = replace(AUTO, teacher_alpha=20.0, teacher_factors=8)
    assert resolve_auto_settings(config, _ratings_with_informative_values(), None).rating_weights == "graded"


@pytest.mark.parametrize(
    ("config", "ratings"),
    [(AUTO, four_ratings()), (replace(AUTO, objective="rating"), clusters(n_users=200))],
    ids=["few users", "no teacher"],
)
def test_the_defaults_are_taken_if_nothing_can_be_tried(config, ratings):
    assert _choices(resolve_auto_settings(config, ratings, None)) == ("graded", 5.0, 64)


def test_the_defaults_are_taken_if_few_users_have_a_relevant_rating(monkeypatch):
    monkeypatch.setattr(auto_settings, "_quality", lambda *_: np.ones(9))
    assert _choices(resolve_auto_settings(AUTO, clusters(n_users=200), None)) == ("graded", 5.0, 64)


def _model(knots, **settings):
    return replace(random_model(), rating_knots=np.array(knots, np.float32), settings=settings)


def test_the_defaults_and_confidences_are_among_the_choices():
    assert CONFIDENCES[0] == (CHOICES["teacher_alpha"][0], CHOICES["teacher_regularization"][0])
    for alpha, regularization in CONFIDENCES:
        assert alpha in CHOICES["teacher_alpha"]
        assert regularization in CHOICES["teacher_regularization"]


@pytest.mark.parametrize("regularization", [100.0, 0.0])
def test_a_refit_keeps_the_regularization_of_its_start(regularization):
    config = replace(AUTO, teacher_regularization=None)
    settings = {"rating_weights": "binary", "teacher_alpha": 20.0, "teacher_regularization": regularization}
    resolved = resolve_auto_settings(config, clusters(n_users=200), _model([[5, 1]], **settings))
    assert _confidence(resolved) == (20.0, regularization)


def test_a_refit_keeps_the_previous_choices():
    previous = _model([[5, 1]], rating_weights="binary", teacher_alpha=20.0, teacher_factors=128)
    assert _choices(resolve_auto_settings(AUTO, clusters(n_users=200), previous)) == ("binary", 20.0, 128)
    assert (
        _choices(resolve_auto_settings(replace(AUTO, teacher_alpha=1.0), clusters(n_users=200), previous))[1]
        == 1.0
    )


@pytest.mark.parametrize(("knots", "weights"), [([[5, 1]], "binary"), ([[1, 0.1], [5, 1]], "graded")])
def test_the_rating_weights_of_an_older_model_are_read_from_its_knots(knots, weights):
    previous = _model(knots, rating_weights="auto", teacher_alpha=None)
    assert _choices(resolve_auto_settings(AUTO, clusters(n_users=200), previous)) == (weights, 5.0, 64)


def test_knots_may_be_lists():
    knots = [[1.0, 0.1], [5.0, 1.0]]
    config = replace(AUTO, rating_knots=knots, teacher_factors=8)
    assert resolve_auto_settings(config, clusters(n_users=200), None).rating_knots == knots


def test_rating_weights_are_not_tried_if_all_ratings_are_equal(monkeypatch):
    tried = []
    monkeypatch.setattr(
        auto_settings, "_quality", lambda config, *_: tried.append(config.rating_weights) or np.ones(9)
    )
    ratings = clusters(n_users=200)
    resolve_auto_settings(AUTO, replace(ratings, values=np.full(len(ratings), 5.0, np.float32)), None)
    assert set(tried) == {"graded"}
