"""Hold-out: every case is measured, and no test rating influences the codes that are measured."""

import json

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.splits import holdout
from dch.errors import ConfigError
from dch.evaluation import evaluate_holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.holdout import CASES, measure_holdout
from dch.evaluation.ranked_lists import make_lists
from tests.dch.evaluation.stand_in import random_fit, random_ratings

CONFIG = DchConfig(bits=16, hidden=16)


def test_every_case_strategy_and_metric_is_reported():
    report = evaluate_holdout(
        random_ratings(2000, n_users=60, n_items=50), CONFIG, seeds=[3, 4], fit=random_fit
    )
    found = {(result.strategy, result.case, result.metric) for result in report.results}
    assert len(report.results) == len(found) == 4 * len(CASES) * 3
    assert all(0 <= result.mean <= 1 and result.users > 0 for result in report.results)
    protocol = json.loads(report.to_json())["protocol"]
    assert (protocol["seeds"], protocol["relevant_from"], protocol["bits"]) == ([3, 4], 4.0, 16)


def test_each_seed_fits_only_the_training_part_after_a_warm_up():
    ratings, fitted = random_ratings(2000, n_users=60, n_items=50), []

    def fit(part, config, *, progress=False):
        fitted.append((config.seed, config.steps, len(part)))
        return random_fit(part, config)

    evaluate_holdout(ratings, CONFIG, seeds=[3, 4], fit=fit)
    sizes = [len(holdout(ratings, np.random.default_rng(seed)).train) for seed in (3, 4)]
    assert [(seed, size) for seed, _, size in fitted[1:]] == list(zip((3, 4), sizes, strict=True))
    assert fitted[0][1] == 2


def test_the_same_seed_gives_the_same_values():
    ratings = random_ratings(1000, n_users=40, n_items=30)
    once, again = (evaluate_holdout(ratings, CONFIG, seeds=[1], fit=random_fit) for _ in range(2))
    assert once.results == again.results


def test_test_ratings_do_not_change_the_codes_or_counts_that_are_measured(monkeypatch):
    ratings, measured = random_ratings(2000, n_users=60, n_items=50), []
    split = holdout(ratings, np.random.default_rng(0))
    model = random_fit(split.train, CONFIG)

    def check(state, task, **options):
        check_users(state, serve(model, split.train), ~split.new_users)
        check_users(state, serve(model, split.user_given), split.new_users)
        check_items(state, serve(model, split.train), ~split.new_items)
        check_items(state, serve(model, split.item_given), split.new_items)
        measured.append(len(task.users))
        return make_lists(state, task, **options)

    monkeypatch.setattr("dch.evaluation.holdout.make_lists", check)
    assert measure_holdout(model, split, 4.0)
    assert len(measured) == len(CASES)
    assert all(measured)


def check_users(state, only_these, which):
    """Check that the users have the codes of a state that has read only these ratings."""
    rows = np.flatnonzero(which).astype(np.int32)
    assert len(rows)
    assert np.array_equal(state.snapshot.users.relaxed(rows), only_these.snapshot.users.relaxed(rows))


def check_items(state, only_these, which):
    """Check that the items have the codes and the popularity of a state that has read only these ratings."""
    rows = np.flatnonzero(which)
    assert len(rows)
    for part in ("words", "allowed", "precedence"):
        found, expected = (getattr(one.snapshot.item_index.view(), part)[rows] for one in (state, only_these))
        assert np.array_equal(found, expected), part


def test_no_seeds_are_refused():
    with pytest.raises(ConfigError, match="at least one seed is needed, got none"):
        evaluate_holdout(random_ratings(), CONFIG, seeds=[], fit=random_fit)
