"""Models and tuned settings are computed once and kept; a model that cannot be read is fitted again."""

from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.plan import Plan

CONFIG = DchConfig(bits=16, steps=2, hidden=32, vector_size=8, batch=40, threads=1)


@pytest.fixture
def plan(tmp_path):
    rng = np.random.default_rng(0)
    pairs = sorted({(int(user), int(item)) for user, item in rng.integers(0, [60, 40], (1200, 2))})
    lines = [f"u{user},i{item},{1 + (user + item) % 5}" for user, item in pairs]
    (tmp_path / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    return Plan({"tiny": tmp_path / "ratings.csv"}, tmp_path / "out", (0,), quick=True, config=CONFIG)


def _bag(plan):
    return plan.model("tiny", 0, bits=16)[0].user_tower.bag


def test_a_model_is_fitted_once(plan):
    first, seconds = plan.model("tiny", 0, bits=16)
    again, same = plan.model("tiny", 0, bits=16)
    assert seconds == same
    assert np.array_equal(first.user_tower.bag, again.user_tower.bag)


@pytest.mark.parametrize("name", ["neighbours", "teacher_neighbours", "vector_teacher_neighbours"])
def test_what_is_switched_off_by_hand_is_not_what_is_left_to_the_fit(plan, name):
    config = replace(CONFIG, **{name: 0})
    assert replace(plan, config=config).settings("tiny") != plan.settings("tiny")
    assert replace(plan, config=config).settings("tiny", of_baseline=True) == plan.settings(
        "tiny", of_baseline=True
    )


@pytest.mark.parametrize(("changed", "counts"), [({"mu": 5.0}, False), ({"optimizer": "sgd"}, True)])
def test_mu_counts_for_equation_1_alone_and_the_optimizer_for_both_objectives(plan, changed, counts):
    other = replace(plan, config=replace(CONFIG, **changed))
    assert (other.settings("tiny") != plan.settings("tiny")) == counts


def test_results_of_earlier_defaults_hold_for_ranking_and_not_for_equation_1(plan):
    earlier = replace(plan, config=replace(CONFIG, mu=0.1, optimizer="adam"))
    assert earlier.settings("tiny") == plan.settings("tiny")
    assert earlier.settings("tiny", objective="rating") != plan.settings("tiny", objective="rating")
    assert plan.settings("tiny", objective="rating") != plan.settings("tiny")


def test_the_regularization_of_the_teacher_counts_for_ranking_alone(plan):
    other = replace(plan, config=replace(CONFIG, teacher_regularization=100.0))
    assert other.settings("tiny") != plan.settings("tiny")
    assert other.settings("tiny", objective="rating") == plan.settings("tiny", objective="rating")


@pytest.mark.parametrize("broken", ["model.safetensors", "manifest.json"])
def test_a_model_that_cannot_be_read_is_fitted_again(plan, broken):
    bag = _bag(plan)
    (path,) = plan.out.rglob(broken)
    path.write_bytes(path.read_bytes()[:10])
    assert np.array_equal(_bag(plan), bag)
    path.unlink()
    assert np.array_equal(_bag(plan), bag)


def test_a_search_for_settings_runs_once_per_data_set_and_first_seed(plan):
    calls = []

    def search():
        calls.append(1)
        return {"settings": {"alpha": np.float32(5.0)}}

    for _ in range(2):
        assert plan.tuned("tiny", "ials-settings", search) == {"settings": {"alpha": 5.0}}
    assert len(calls) == 1
    replace(plan, seeds=(1,)).tuned("tiny", "ials-settings", search)
    assert len(calls) == 2
