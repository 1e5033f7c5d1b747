"""The protocol of the tables, on cases small enough to work out by hand, for DCH and for baselines."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout, holdout
from dch.evaluation.holdout import CASES as GOALS
from dch.evaluation.holdout import measure_holdout
from dch.evaluation.report import MetricKey
from dch.experiments.baselines.popularity import fit_popularity
from dch.experiments.jobs.table_protocol import (
    SCORES,
    by_case,
    goal_cases,
    measure_tables,
    new_ratings,
    relevant_from,
    table_questions,
)
from dch.experiments.plan import Plan, Split
from tests.dch.evaluation.stand_in import random_fit, random_ratings

EVENTS = {
    "train": [("u0", "i0", 5), ("u0", "i1", 1), ("u1", "i2", 5), ("u1", "i3", 4), ("u2", "i0", 5)],
    "known_given": [("u0", "i2", 5)],
    "known_test": [("u0", "i3", 5), ("u1", "i0", 4), ("u1", "i1", 2)],
    "user_given": [("v", "i0", 5)],
    "user_test": [("v", "i2", 5), ("v", "i1", 3)],
    "item_given": [("u0", "n0", 5)],
    "item_test": [("u1", "n0", 4), ("u2", "n1", 5), ("u0", "n1", 1)],
}
"""Known users u0 u1 u2 and items i0 to i3; a new user v; new items n0 n1."""


@pytest.fixture
def split():
    rows = [event for events in EVENTS.values() for event in events]
    users, items, values = zip(*rows, strict=True)
    whole = Ratings.from_events(users, items, np.array(values, np.float32))
    parts, start = {}, 0
    for name, events in EVENTS.items():
        parts[name] = whole.subset(np.arange(start, start + len(events)))
        start += len(events)
    new_users = np.array([user == "v" for user in whole.user_ids])
    new_items = np.array([item.startswith("n") for item in whole.item_ids])
    given, test = parts.pop("known_given"), parts.pop("known_test")
    return Split(Holdout(test=test, **parts, new_users=new_users, new_items=new_items), given, test)


def ids(split, question):
    """Return a question in ids: the candidates and the relevant items of each user."""
    train = split.holdout.train

    def names(sets, at):
        return {train.item_ids[row] for row in sets.columns[sets.starts[at] : sets.starts[at + 1]].tolist()}

    candidates = {train.item_ids[row] for row in np.flatnonzero(question.candidates).tolist()}
    return {
        train.user_ids[user]: (candidates - names(question.given, at), names(question.relevant, at))
        for at, user in enumerate(question.users.tolist())
    }


def test_each_case_has_the_candidates_and_relevant_items_of_the_protocol(split):
    asked = {case: ids(split, question) for case, question in table_questions(split).items()}
    assert asked == {
        "EUEI": {"u0": ({"i3"}, {"i3"}), "u1": ({"i0", "i1"}, {"i0"})},
        "NUEI": {"v": ({"i1", "i2", "i3"}, {"i2"})},
        "EUNI": {"u1": ({"n0", "n1"}, {"n0"}), "u2": ({"n0", "n1"}, {"n1"})},
    }


def test_the_given_ratings_are_all_but_the_training_and_the_tested_ones(split):
    given = new_ratings(split)
    pairs = {
        (given.user_ids[user], given.item_ids[item])
        for user, item in zip(given.users.tolist(), given.items.tolist(), strict=True)
    }
    assert pairs == {("u0", "i2"), ("v", "i0"), ("u0", "n0")}


@dataclass
class FixedRanking:
    """A baseline with a fixed ranking for each user, whatever is given; other items are unknown."""

    split: Split
    ranking: dict

    def fold_in(self, given):
        train = self.split.holdout.train
        scores = np.full((train.n_users, train.n_items), -np.inf, np.float32)
        for user, items in self.ranking.items():
            for rank, item in enumerate(items):
                scores[train.user_ids.row(user), train.item_ids.row(item)] = -rank
        return lambda users: scores[users]


def test_figures_are_those_worked_out_by_hand(split):
    ranking = {"u0": ["i3"], "u1": ["i1", "i0", "n1", "n0"], "u2": ["n1", "n0"], "v": ["i1", "i3", "i2"]}
    found = by_case(measure_tables(FixedRanking(split, ranking), split))
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    for case, ndcg in (("EUEI", (1 + second) / 2), ("EUNI", (second + 1) / 2), ("NUEI", third)):
        assert found[case][SCORES]["ndcg@20"] == pytest.approx(ndcg)
        assert found[case][SCORES]["hit@20"] == 1


def test_a_method_that_cannot_rank_new_users_or_items_is_measured_on_known_ones_only(split):
    baseline = FixedRanking(split, {"u0": ["i3"], "u1": ["i0", "i1"], "u2": ["i1"]})
    assert set(by_case(measure_tables(baseline, split))) == {"EUEI"}
    found = by_case(goal_cases(baseline, split.holdout))
    assert set(found) == {"EUEI", "EUNI-all"}
    assert found["EUNI-all"][SCORES]["hit@20"] == 0  # it lists known items only


def test_the_popularity_baseline_equals_the_popular_strategy_of_a_model():
    ratings = random_ratings(3000, n_users=60, n_items=70)
    parts = holdout(ratings, np.random.default_rng(0))
    known = np.random.default_rng(1).random(len(parts.test)) < 0.5
    split = Split(parts, parts.test.subset(known), parts.test.subset(~known))
    model = random_fit(parts.train, DchConfig(bits=16, hidden=24))
    fitted = fit_popularity(parts.train)
    measured, twin = measure_tables(model, split), measure_tables(fitted, split)
    popular = {key: found for key, found in measured.items() if key.strategy == "popular"}
    assert {key.case for key in popular} == {"EUEI", "NUEI", "EUNI"}
    assert popular == {MetricKey("popular", key.case, key.metric): found for key, found in twin.items()}


def test_the_goal_cases_of_a_model_equal_the_hold_out_evaluation():
    parts = holdout(random_ratings(2000, n_users=60, n_items=50), np.random.default_rng(0))
    model = random_fit(parts.train, DchConfig(bits=16, hidden=24))
    found = goal_cases(model, parts)
    assert {key.case for key in found} == set(GOALS)
    assert found == measure_holdout(model, parts, relevant_from(parts.train))


def test_the_given_and_tested_halves_of_a_split_make_up_the_test_part(tmp_path):
    rows = [f"u{n % 40},i{(n * 7 + n // 40) % 30},{1 + n % 5}" for n in range(900)]
    (tmp_path / "ratings.csv").write_text("user,item,rating\n" + "\n".join(rows))
    split = Plan({"tiny": Path(tmp_path / "ratings.csv")}, tmp_path / "out").split("tiny", 0)
    assert len(split.known_given) + len(split.known_test) == len(split.holdout.test) > 50
