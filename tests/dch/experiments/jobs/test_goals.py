"""The part of the goals: jobs on little data, and pages of whatever is at hand."""

import json

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.jobs.goals import jobs, pages
from dch.experiments.plan import Plan
from dch.experiments.reports.goal_list import GOALS

QUICK = DchConfig(steps=4, hidden=64, vector_size=8, batch=40, sampled_items=30, threads=1)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Two tastes: users and items of the same parity like each other; genres tell which."""
    folder, rng = tmp_path_factory.mktemp("goals"), np.random.default_rng(0)
    pairs = {(int(user), int(item)) for user, item in rng.integers(0, [80, 60], (2400, 2))}
    lines = [f"u{user},i{item},{5 if (user + item) % 2 == 0 else 2}" for user, item in sorted(pairs)]
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    items = [json.dumps({"item": f"i{item}", "genres": ["a", "b"][item % 2]}) for item in range(60)]
    (folder / "items.jsonl").write_text("\n".join(items))
    return Plan({"tiny": folder / "ratings.csv"}, folder / "out", seeds=(0,), quick=True, config=QUICK)


@pytest.fixture(scope="module")
def outcomes(plan):
    return {job.name: json.loads(json.dumps(job.run())) for job in jobs(plan)}


def test_every_goal_of_the_data_set_is_measured(outcomes):
    goals, exposure, plot, collapse = pages(outcomes)
    assert [page.name for page in (goals, exposure, plot, collapse)] == [
        *("goals", "exposure", "exposure-tiny", "collapse")
    ]
    assert len(goals.rows) == len(GOALS["ml-1m"])
    assert all(measured is not None for *_, measured, _ in goals.rows)
    assert {met for *_, met in goals.rows} <= {"yes", "no", None}
    assert len(exposure.rows) == 3 * 6  # strategies and shares
    assert len(collapse.rows) == 2


def test_a_page_shows_what_is_there_and_a_dash_for_the_rest(outcomes):
    some = {name: outcome for name, outcome in outcomes.items() if name == "goals/tiny/codes/0"}
    goals, collapse = pages(some)
    measured = {row[1]: row[3] for row in goals.rows}
    assert measured["cold fit"].endswith(" s")
    assert measured["codes alone, EUEI, share of iALS-64"] is None
    assert all(cell is None for row in collapse.rows for cell in row[2:])
    assert pages({}) == []


def test_data_sets_without_goals_are_measured_in_quick_mode_alone(plan):
    names = [job.name for job in jobs(Plan({"ml-1m": "", "yelp": "", "other": ""}, plan.out, seeds=(4, 5)))]
    assert {name.split("/")[1] for name in names} == {"ml-1m", "yelp"}
    assert "goals/ml-1m/refit/5" in names
    assert "goals/yelp/refit/5" not in names
    assert "goals/yelp/codes/4" in names
