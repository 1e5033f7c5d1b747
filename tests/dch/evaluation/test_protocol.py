"""Options that all protocols share mean the same in each."""

import json
from dataclasses import replace

import pytest

from dch.config import DchConfig
from dch.evaluation import evaluate_fixed_split, evaluate_holdout, evaluate_prequential
from tests.dch.evaluation.stand_in import random_fit, random_ratings

CONFIG = DchConfig(bits=16, hidden=16)
PROTOCOLS = {
    "fixed split": lambda ratings, **how: evaluate_fixed_split(
        ratings.subset(ratings.timestamps < 1300), ratings.subset(ratings.timestamps >= 1300), CONFIG, **how
    ),
    "holdout": lambda ratings, **how: evaluate_holdout(ratings, CONFIG, seeds=[0], **how),
    "prequential": lambda ratings, **how: evaluate_prequential(ratings, CONFIG, **how),
}


def counted(report):
    """Return all numbers of users and trials in a report."""
    users = {(result.strategy, result.case, result.metric): result.users for result in report.results}
    return users, report.protocol.get("trials")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_relevant_from_zero_counts_every_rating_even_negative_ones(name):
    ratings = random_ratings(600, n_users=30, n_items=40)
    negative = replace(ratings, values=ratings.values - 3)
    all_relevant = PROTOCOLS[name](ratings, relevant_from=0.5, fit=random_fit)
    found = PROTOCOLS[name](negative, relevant_from=0, fit=random_fit)
    some = PROTOCOLS[name](ratings, relevant_from=5, fit=random_fit)
    assert counted(found) == counted(all_relevant) != counted(some)
    assert json.loads(found.to_json())["protocol"]["relevant_from"] == 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_negative_threshold_of_the_model_is_respected(name):
    def fit(ratings, config, *, progress=False):
        return replace(random_fit(ratings, config), positive_from=-1.0)

    ratings = random_ratings(600, n_users=30, n_items=40)
    report = PROTOCOLS[name](replace(ratings, values=ratings.values - 6), fit=fit)  # -5 to -1
    assert counted(report) == counted(PROTOCOLS[name](ratings, relevant_from=5, fit=random_fit))
    assert report.protocol["relevant_from"] == -1
