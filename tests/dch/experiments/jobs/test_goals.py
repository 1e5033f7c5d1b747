"""The part of the goals: jobs on little data, and pages of complete and incomplete outcomes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.jobs.goal_baselines import GOAL_BASELINES
from dch.experiments.jobs.goals import DATA, codes, jobs, without_neighbours
from dch.experiments.plan import Plan
from dch.experiments.reports.goal_list import ELSEWHERE, GOALS, OTHERS
from dch.experiments.reports.goals_report import goals_pages

QUICK = DchConfig(steps=4, hidden=64, vector_size=8, batch=40, sampled_items=30, threads=1, neighbours=0)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Ratings of two tastes: users like the items of their own parity, which the genres reveal."""
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
    pages = goals_pages(outcomes, [0])
    goals, quality, baselines, by_size, others, exposure, _, collisions = pages
    assert [page.name for page in pages] == [
        *("goals", "quality", "baselines", "quality_by_size", "other_figures"),
        *("exposure", "exposure-tiny", "code_collisions"),
    ]
    assert len(goals.rows) == len(GOALS["ml-1m"]) + len(ELSEWHERE)
    assert len(others.rows) == len(OTHERS["ml-1m"])
    assert all(measured is not None for *_, measured, _ in goals.rows)
    assert len(baselines.rows) == len(GOAL_BASELINES)
    assert all(
        trials == 1 or label in ("popularity", "iALS-64") for _, label, _, trials, *_ in baselines.rows
    )
    assert {row[1] for row in quality.rows} > {"popularity", "iALS-64", "EASE, strongest weights"}
    (panel,) = by_size.panels
    assert list(panel.lines) == [
        "codes, vectors, neighbours",
        "iALS",
        "EASE, strongest weights",
        "RP3beta",
        "ItemCF",
    ]
    assert {met for *_, met in goals.rows[: -len(ELSEWHERE)]} <= {"yes", "no"}
    assert [met for *_, met in goals.rows[-len(ELSEWHERE) :]] == ["no", "open"]
    assert all(seeds == {"tiny": [0]} for table in (goals, others) for seeds in table.seeds if seeds)
    assert len(exposure.rows) == 2 * 4 * 6  # all or few ratings given, strategies and shares
    assert len(collisions.rows) == 2


def test_a_page_shows_a_dash_where_an_outcome_is_missing(outcomes):
    some = {name: outcome for name, outcome in outcomes.items() if name == "goals/tiny/codes/0"}
    goals, _, baselines, _, others = goals_pages(some, [0])
    measured = {row[1]: row[3] for row in goals.rows}
    assert measured["default list, EUEI, over the best baseline of any size"] is None
    assert baselines.rows == []
    assert {row[1]: row[3] for row in others.rows}["full fit"].endswith(" s")
    assert goals_pages({}, [0]) == []


def test_data_sets_without_goals_are_measured_only_in_a_quick_run(plan):
    assert set(DATA) == set(GOALS)
    names = [job.name for job in jobs(Plan({"ml-1m": "", "yelp": "", "other": ""}, plan.out, seeds=(4, 5)))]
    assert {name.split("/")[1] for name in names} == {"ml-1m", "yelp"}
    assert "goals/ml-1m/refit/5" in names
    assert "goals/yelp/refit/5" not in names
    assert "goals/yelp/codes/4" in names
    assert "goals/yelp/long-vectors/4" in names
    assert "goals/yelp/long-vectors/5" not in names


def test_the_default_list_is_the_one_with_neighbours_where_there_are_any(outcomes):
    cases = outcomes["goals/tiny/codes/0"]["cases"]
    assert cases["EUEI"]["default"] == cases["EUEI"]["codes+rerank"]  # these settings ask for no neighbours


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_model_without_neighbours_is_fitted_where_these_change_what_vectors_learn(plan, tmp_path, share):
    config = replace(QUICK, neighbours=4, teacher_neighbours=share)
    with_them = replace(plan, out=tmp_path, config=config)
    default, alone = (measure(with_them, "tiny", 0)["cases"] for measure in (codes, without_neighbours))
    without = replace(with_them, config=replace(config, neighbours=0))
    assert alone["EUEI"]["codes+rerank"] == codes(without, "tiny", 0)["cases"]["EUEI"]["codes+rerank"]
    is_same = alone["EUEI"]["codes+rerank"] == default["EUEI"]["codes+rerank"]
    assert is_same == (share == 0)


def of_seeds(*seeds, ials=0.4):
    """Return outcomes on Yelp in which codes alone have NDCG@20 .5."""
    tuned = {"settings": {}, "trials": 1, "seconds": 1.0}
    return {
        f"goals/yelp/{job}/{seed}": {"cases": {"EUEI": {strategy: {"ndcg@20": ndcg}}}, **tuned}
        for seed in seeds
        for job, strategy, ndcg in (("codes", "codes-weighted", 0.5), ("ials", "scores", ials))
    }


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ([3], "yes (seed 3 alone)"),
        ([3, 5], "yes (seeds 3, 5 alone)"),
        ([3, 4, 5], "yes"),
        ([3, 4, 5, 6], "yes"),
    ],
)
def test_a_verdict_on_fewer_seeds_than_were_planned_names_them(measured, verdict):
    goals, *_ = goals_pages(of_seeds(*measured), [3, 4, 5])
    what = "codes alone by weighted distance (8 bytes), EUEI, over iALS-64"
    (at,) = [at for at, row in enumerate(goals.rows) if row[1] == what]
    assert goals.rows[at][-1] == verdict
    assert goals.seeds[at] == {"yelp": measured}


def test_a_goal_that_is_missed_on_fewer_seeds_names_them_too():
    goals, *_ = goals_pages(of_seeds(3, ials=0.9), [3, 4])
    assert goals.rows[0][-1] == "no (seed 3 alone)"


def test_each_row_of_the_others_is_shown_with_a_dash_if_it_was_not_measured():
    (others,) = (page for page in goals_pages(of_seeds(3), [3]) if page.name == "other_figures")
    assert [row[3] for row in others.rows] == [None] * len(OTHERS["yelp"])
    assert others.seeds == [{"yelp": []}] * len(OTHERS["yelp"])
