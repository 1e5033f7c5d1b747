"""The gate: on what two models are compared, and which outcome follows."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_model

from dch.artifact import load_model, manifest_sha256, save_model
from dch.config import DchConfig
from dch.data.ids import IdTable
from streams.trainer.fit import NEWEST_NDCG, FitRequest, fit
from streams.trainer.gate import MIN_NEWEST, MIN_TRIALS, compare, hold_back, judge
from tests.streams.trainer.test_trainer import planted, ratings_of, truth

KNOWS, GUESSES = truth(60, 40, 2), random_model(n_users=60, n_items=40, bits=64, hidden=64)
"""A model that knows the kinds of users, and one that knows nothing."""

CONFIG = DchConfig(bits=64, hidden=64, steps=10, vector_size=16)


def split(n=3000):
    ratings = ratings_of(planted(n=n))
    return hold_back(ratings, np.ones(len(ratings), bool))


def with_positives(model, positive_from):
    return replace(model, positive_from=positive_from)


@pytest.mark.parametrize(
    ("n", "n_new", "n_held"), [(1_000_000, 50_000, 5000), (6000, 3000, 300), (6000, 300, 200)]
)
def test_a_part_of_the_new_ratings_alone_is_held_back(n, n_new, n_held):
    users, items = np.divmod(np.arange(n), 1000)
    base = ratings_of([("u0", "i0", 5.0, 1)])
    ratings = replace(
        base,
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        values=np.ones(n, np.float32),
        timestamps=np.arange(n),
        user_ids=IdTable(f"u{row}" for row in range(users.max() + 1)),
        item_ids=IdTable(f"i{row}" for row in range(1000)),
    )
    train, newest = hold_back(ratings, np.arange(n) >= n - n_new)
    assert len(newest) == n_held
    assert len(train) == n - n_held
    assert newest.timestamps.min() > train.timestamps.max()


def test_old_ratings_are_never_held_back_whatever_their_times():
    ratings = ratings_of(planted(n=3000))
    is_new = np.arange(len(ratings)) < 1000  # the new records have the oldest times
    train, newest = hold_back(ratings, is_new)
    assert newest.timestamps.max() <= ratings.timestamps[999]
    assert len(train) + len(newest) == len(ratings)


def test_nothing_is_held_back_with_too_few_new_ratings():
    ratings = ratings_of(planted())
    train, newest = hold_back(ratings, np.arange(len(ratings)) >= len(ratings) - MIN_NEWEST + 1)
    assert newest is None
    assert train is ratings
    assert hold_back(ratings, np.zeros(len(ratings), bool))[1] is None


@pytest.mark.parametrize("candidate", [4.0, 50.0, 5.0])
@pytest.mark.parametrize("in_service", [4.0, 50.0, 5.0])
def test_both_models_are_measured_whatever_is_positive_for_each(candidate, in_service):
    train, newest = split()
    good, bad = with_positives(KNOWS, candidate), with_positives(GUESSES, in_service)
    if candidate == in_service == 50.0:
        assert compare(good, bad, train, newest) is None
        assert judge(good, bad, train, newest, 1.0).outcome == "unmeasured"
        return
    figures = compare(good, bad, train, newest)
    assert figures[0] > figures[1]
    assert judge(good, bad, train, newest, 0.0).outcome == "published"
    good, bad = with_positives(KNOWS, in_service), with_positives(GUESSES, candidate)
    found = judge(bad, good, train, newest, 0.0)
    assert found.outcome == "rejected"
    assert found.candidate < found.in_service


def test_the_same_trials_give_the_same_figures_to_the_same_model():
    train, newest = split()
    for of_candidate, in_service in [(4.0, 2.0), (2.0, 4.0), (4.0, 50.0)]:
        first, second = compare(
            with_positives(GUESSES, of_candidate), with_positives(GUESSES, in_service), train, newest
        )
        assert first == second


def test_a_handful_of_trials_is_no_measurement():
    train, newest = split()
    few = np.zeros(len(newest), bool)
    few[np.flatnonzero(newest.values >= 4)[: MIN_TRIALS - 1]] = True
    assert compare(KNOWS, GUESSES, train, newest.subset(few | (newest.values < 4))) is None


def test_a_candidate_may_be_worse_by_the_margin_at_most():
    train, newest = split()
    candidate, in_service = compare(GUESSES, KNOWS, train, newest)
    gap = in_service - candidate
    assert judge(GUESSES, KNOWS, train, newest, gap + 1e-9).outcome == "published"
    assert judge(GUESSES, KNOWS, train, newest, gap - 1e-9).outcome == "rejected"


def request(tmp_path, current, ratings, newest, **changes):
    save_model(tmp_path / "before", current)
    in_service = (str(tmp_path / "before"), manifest_sha256(tmp_path / "before"))
    return FitRequest(ratings, newest, CONFIG, generation=2, in_service=in_service, **changes)


def test_a_fitted_model_beats_one_that_knows_nothing(tmp_path):
    ratings, newest = split()
    config = replace(CONFIG, hidden=256, steps=60)
    first = FitRequest(ratings, None, config, generation=1, in_service=None)
    assert fit(first, tmp_path / "model").outcome == "published"
    figures = compare(load_model(tmp_path / "model"), GUESSES, ratings, newest)
    assert figures[0] > figures[1]


@pytest.mark.slow
def test_an_accepted_model_learns_the_ratings_that_it_was_measured_on(tmp_path):
    events = planted(n=3000)
    late = [(f"u{n}", "late", 5.0, 9000 + n) for n in range(0, 60, 2)]
    ratings, newest = hold_back(everything := ratings_of([*events, *late]), np.ones(len(everything), bool))
    assert "late" in {newest.item_ids[row] for row in newest.items}
    rejected = request(tmp_path, GUESSES, ratings, newest, margin=-1.0)
    assert fit(rejected, tmp_path / "rejected").outcome == "rejected"
    assert "late" not in load_model(tmp_path / "rejected").item_ids
    result = fit(replace(rejected, margin=1.0), tmp_path / "accepted")
    accepted = load_model(tmp_path / "accepted")
    assert (result.outcome, accepted.generation) == ("published", 2)
    assert accepted.metrics["update_steps"] > 0
    assert accepted.metrics[NEWEST_NDCG] == result.candidate
    assert "late" in accepted.item_ids


@pytest.mark.slow
def test_a_rejected_or_unmeasured_model_is_not_updated(tmp_path):
    ratings, newest = split()
    worse = request(tmp_path, KNOWS, ratings, newest, margin=-1.0)
    assert fit(worse, tmp_path / "rejected").outcome == "rejected"
    assert "update_steps" not in load_model(tmp_path / "rejected").metrics


@pytest.mark.slow
@pytest.mark.parametrize(("candidate", "in_service"), [(50.0, 4.0), (5.0, 4.0), (4.0, 50.0), (5.0, 50.0)])
def test_a_scale_that_hides_every_trial_from_one_model_is_measured_with_that_of_the_other(
    tmp_path, candidate, in_service
):
    odd = [("typo", "i0", 50.0, 1)] * (candidate == 50.0)
    everything = ratings_of([*odd, *planted(n=3000)])
    ratings, newest = hold_back(everything, np.ones(len(everything), bool))
    asked = request(tmp_path, with_positives(KNOWS, in_service), ratings, newest)
    config = replace(CONFIG, positive_from=candidate)
    result = fit(replace(asked, config=config), tmp_path / "model")
    assert load_model(tmp_path / "model").positive_from == candidate
    assert result.outcome == "rejected"
    assert result.candidate < result.in_service


@pytest.mark.slow
@pytest.mark.parametrize(("accept", "outcome"), [(False, "unmeasured"), (True, "published")])
def test_a_model_in_service_that_cannot_be_read_stays_unless_accepted(tmp_path, accept, outcome):
    ratings, newest = split()
    lost = ("/nowhere", "0" * 64)
    asked = FitRequest(ratings, newest, CONFIG, generation=2, in_service=lost, accept_unmeasured=accept)
    result = fit(asked, tmp_path / "model")
    assert (result.outcome, result.candidate) == (outcome, None)
    assert "cannot be read from /nowhere" in result.reason
    assert (tmp_path / "model").exists() == accept, "nothing is fitted that cannot be published"
    if accept:
        model = load_model(tmp_path / "model")
        assert "update_steps" in model.metrics
        assert NEWEST_NDCG not in model.metrics
