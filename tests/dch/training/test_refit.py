from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import ConfigError
from dch.training import fit, fit_model, needs_full_fit, update
from dch.training.loop import peak_rate, run_steps
from dch.training.ranking_steps import RankingSteps
from dch.training.training_data import make_training_data
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=32, teacher_factors=8, teacher_regularization=1.0, steps=10, batch=64)


def test_a_refit_takes_fewer_steps_and_keeps_the_rating_scale():
    start = fit_model(clusters(n_users=60, n_items=40), CONFIG)
    refitted = fit_model(clusters(n_users=80, n_items=40, seed=1), CONFIG, start=start, generation=2)
    assert refitted.metrics["steps"] == round(CONFIG.steps * CONFIG.refit_share) < CONFIG.steps
    assert refitted.generation == 2
    assert np.array_equal(refitted.rating_knots, start.rating_knots)


@pytest.mark.parametrize("fitted", [False, True])
def test_a_refit_and_an_update_keep_the_kind_of_codes_that_their_start_has(fitted, monkeypatch):
    seen = []

    def spy(nets, bags, teacher, config, rng):
        seen.append(config.relaxed_users)
        return RankingSteps(nets, bags, teacher, config, rng)

    monkeypatch.setattr(fit, "RankingSteps", spy)
    monkeypatch.setattr(update, "RankingSteps", spy)
    ratings = clusters(n_users=60, n_items=40)
    start = fit_model(ratings, replace(CONFIG, relaxed_users=fitted))
    changed = replace(CONFIG, relaxed_users=not fitted)
    refitted = fit_model(ratings, changed, start=start)
    updated = update.update_model(start, ratings, ratings, changed, steps=1)
    assert seen == [fitted] * 3
    assert start.is_weighted == refitted.is_weighted == updated.is_weighted == fitted


def test_a_start_of_another_size_is_an_error_that_names_both_sizes():
    start = fit_model(clusters(n_users=60, n_items=40), CONFIG)
    with pytest.raises(
        ConfigError,
        match="start has bits=16, hidden=32, vector_size=64, the settings ask for bits=64, hidden=256",
    ):
        fit_model(clusters(), DchConfig(), start=start)


def test_a_refit_without_any_gain_keeps_the_previous_weights():
    config, ratings = replace(CONFIG, early_stopping=True), clusters()
    start = fit_model(ratings, config)
    diverging = replace(config, learning_rate=100.0, steps=20, checks=2)
    refitted = fit_model(ratings, diverging, start=start, generation=2)
    assert refitted.metrics["steps"] == 4
    assert np.array_equal(refitted.user_tower.bag, start.user_tower.bag)
    assert np.array_equal(refitted.item_tower.output, start.item_tower.output)


@pytest.mark.parametrize(("configured", "rate"), [(None, 1 / 3), (0.5, 0.5)], ids=["a third", "as set"])
def test_a_refit_takes_a_third_of_the_learning_rate_unless_one_is_set(monkeypatch, configured, rate):
    rates = []

    def run(nets, objective, config, steps, *others):
        rates.append(config.learning_rate)
        return run_steps(nets, objective, config, steps, *others)

    monkeypatch.setattr(fit, "run_steps", run)
    start = fit_model(clusters(), CONFIG)
    fit_model(clusters(), replace(CONFIG, learning_rate=configured), start=start, generation=2)
    assert rates == [None, rate if configured else rate * peak_rate(CONFIG)]


def test_a_full_fit_is_needed_at_more_than_one_and_a_half_times_the_ratings_of_the_last():
    first = clusters(n_users=100)
    start = fit_model(first, CONFIG)
    refitted = fit_model(clusters(n_users=140), CONFIG, start=start, generation=2)
    for model in (start, refitted):
        assert not needs_full_fit(model, clusters(n_users=150))
        assert needs_full_fit(model, clusters(n_users=151))
    assert not needs_full_fit(replace(start, metrics={}), clusters(n_users=300))  # an older model


@pytest.mark.parametrize(
    ("objective", "early_stopping", "holds_out"),
    [("ranking", None, False), ("ranking", True, True), ("rating", None, True), ("rating", False, False)],
)
def test_ratings_are_held_out_of_a_fit_only_for_early_stopping(objective, early_stopping, holds_out):
    ratings = clusters(n_users=200)
    training_data = make_training_data(
        ratings, replace(CONFIG, objective=objective, early_stopping=early_stopping), None
    )
    assert (training_data.validation is not None) == holds_out
    assert (len(training_data.bags[0].tokens) < len(ratings)) == holds_out
