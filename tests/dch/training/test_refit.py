from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import ConfigError
from dch.training import fit, fit_model, has_outgrown
from dch.training.loop import peak_rate, run_steps
from dch.training.refit import continue_from
from dch.training.training_data import prepare
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=32, teacher_factors=8, teacher_regularization=1.0, steps=10, batch=64)


def test_rows_are_carried_over_by_id_and_new_ids_start_from_the_teacher():
    old = clusters(n_users=60, n_items=40)
    start = fit_model(old, CONFIG)
    new = clusters(n_users=80, n_items=48)
    material = prepare(new, CONFIG, start)
    user, item = continue_from(start, material)
    assert np.array_equal(user.output, start.user_tower.output)
    for place, id_ in enumerate(material.sides[1].ids):
        row = start.item_ids.row(id_)
        if row >= 0:
            assert np.array_equal(user.bag[place], start.user_tower.bag[row])
        else:
            assert user.bag[place].any()
    assert np.isfinite(item.bag).all()


def test_a_refit_takes_fewer_steps_and_keeps_the_rating_scale():
    start = fit_model(clusters(n_users=60, n_items=40), CONFIG)
    refitted = fit_model(clusters(n_users=80, n_items=40, seed=1), CONFIG, start=start, generation=2)
    assert refitted.metrics["steps"] == round(CONFIG.steps * CONFIG.refit_share) < CONFIG.steps
    assert refitted.generation == 2
    assert np.array_equal(refitted.rating_knots, start.rating_knots)


def test_a_start_of_another_size_is_an_error_that_names_both():
    start = fit_model(clusters(n_users=60, n_items=40), CONFIG)
    with pytest.raises(
        ConfigError,
        match="start has bits=16, hidden=32, vector_size=64, the settings ask for bits=64, hidden=256",
    ):
        fit_model(clusters(), DchConfig(), start=start)


def test_a_refit_that_only_loses_leaves_the_weights_as_they_were():
    config, ratings = replace(CONFIG, early_stopping=True), clusters()
    start = fit_model(ratings, config)
    wild = replace(config, learning_rate=100.0, steps=20, checks=2)
    refitted = fit_model(ratings, wild, start=start, generation=2)
    assert refitted.metrics["steps"] == 4
    assert np.array_equal(refitted.user_tower.bag, start.user_tower.bag)
    assert np.array_equal(refitted.item_tower.output, start.item_tower.output)


@pytest.mark.parametrize(("given", "rate"), [(None, 1 / 3), (0.5, 0.5)], ids=["a third", "as given"])
def test_a_refit_takes_a_third_of_the_rate_unless_one_is_set(monkeypatch, given, rate):
    rates = []

    def run(nets, objective, config, steps, *others):
        rates.append(config.learning_rate)
        return run_steps(nets, objective, config, steps, *others)

    monkeypatch.setattr(fit, "run_steps", run)
    start = fit_model(clusters(), CONFIG)
    fit_model(clusters(), replace(CONFIG, learning_rate=given), start=start, generation=2)
    assert rates == [None, rate if given else rate * peak_rate(CONFIG)]


def test_a_model_is_outgrown_when_ratings_are_half_as_many_again_as_its_last_fit_from_nothing_had():
    first = clusters(n_users=100)
    start = fit_model(first, CONFIG)
    refitted = fit_model(clusters(n_users=140), CONFIG, start=start, generation=2)
    for model in (start, refitted):
        assert not has_outgrown(model, clusters(n_users=150))
        assert has_outgrown(model, clusters(n_users=151))
    assert not has_outgrown(replace(start, metrics={}), clusters(n_users=300))  # an old one does not say


@pytest.mark.parametrize(
    ("objective", "early_stopping", "takes"),
    [("ranking", None, False), ("ranking", True, True), ("rating", None, True), ("rating", False, False)],
)
def test_ratings_are_held_out_of_a_fit_for_early_stopping_alone(objective, early_stopping, takes):
    ratings = clusters(n_users=200)
    material = prepare(ratings, replace(CONFIG, objective=objective, early_stopping=early_stopping), None)
    assert (material.validation is not None) == takes
    assert (len(material.sides[0].tokens) < len(ratings)) == takes
