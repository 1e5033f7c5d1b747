"""The part of drift: jobs on tastes that change, and pages of complete and incomplete outcomes."""

import json

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.jobs.drift import N_PARTS, N_PARTS_QUICK, jobs
from dch.experiments.plan import Plan
from dch.experiments.reports.drift_report import drift_pages
from dch.experiments.reports.page import Plot

CONFIG = DchConfig(
    steps=60, hidden=64, vector_size=16, batch=120, teacher_alpha=5.0, teacher_factors=8, threads=1
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Ratings whose second half has only new items, and other groups of users with the same taste."""
    folder, rng = tmp_path_factory.mktemp("drift"), np.random.default_rng(0)
    lines = []
    for at in range(24000):
        user, item = rng.integers(240), rng.integers(100)
        is_late = at >= 12000
        liked = ((user // 4 if is_late else user) + item) % 4 == 0
        if liked or rng.random() < 0.1:
            lines.append(f"u{user},i{item + 100 * is_late},{5 if liked else 2},{at + 1}")
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating,timestamp", *lines]))
    (folder / "untimed.csv").write_text("user,item,rating\na,b,3\n")
    data = {"tiny": folder / "ratings.csv", "untimed": folder / "untimed.csv"}
    return Plan(data, folder / "out", seeds=(0,), quick=True, config=CONFIG)


@pytest.fixture(scope="module")
def outcomes(plan):
    return {job.name: json.loads(json.dumps(job.run())) for job in jobs(plan)}


def test_there_is_a_job_for_each_policy_and_for_each_full_fit(outcomes):
    full = [f"drift/tiny/full-{part}/0" for part in range(1, N_PARTS_QUICK)]
    others = ["drift/tiny/none/0", "drift/tiny/warm/0"]
    assert sorted(outcomes) == sorted([*full, *others])


def test_trials_do_not_depend_on_the_policy_and_full_fits_adapt_to_a_new_taste(outcomes):
    trials = {
        name: outcome["parts"]["1"]["trials"] for name, outcome in outcomes.items() if "1" in outcome["parts"]
    }
    assert len({json.dumps(one) for one in trials.values()}) == 1
    rates = {row[1]: row[2].mean for row in drift_pages(outcomes)[0].rows}
    assert list(rates) == ["no refit", "refits", "full fits", "popular"]
    assert rates["full fits"] > rates["no refit"] + 0.05


def test_the_fit_time_of_refits_is_shown_and_is_zero_without_refits(outcomes):
    cost = {row[1]: row[-3:] for row in drift_pages(outcomes)[0].rows}
    assert cost["no refit"] == [0, "0.0", None]
    for policy in ("refits", "full fits"):
        assert cost[policy][0] == N_PARTS_QUICK - 1
        assert float(cost[policy][1]) > 0


def _rate(counts):
    return sum(counts["codes+rerank"].values()) / sum(counts["trials"].values())


def test_the_first_part_has_the_same_hit_rate_under_every_policy(outcomes):
    _, along, plot = drift_pages(outcomes)
    firsts = {row[1]: row[2] for row in along.rows}
    assert firsts["no refit"] == firsts["refits"]
    assert firsts["full fits"].mean == _rate(outcomes["drift/tiny/none/0"]["parts"]["0"])
    assert isinstance(plot, Plot)
    assert [list(panel.lines) for panel in plot.panels] == [
        ["no refit", "refits", "full fits", "popular"],
        ["no refit", "refits", "full fits"],
    ]


def test_the_pages_show_a_dash_where_an_outcome_is_missing(outcomes):
    assert drift_pages({}) == []
    some = {name: outcomes[name] for name in ("drift/tiny/none/0", "drift/tiny/full-1/0")}
    summary, along, _ = drift_pages(some)
    assert {row[1]: row[2] is None for row in summary.rows} == {
        "no refit": False,
        "full fits": True,
        "popular": False,
    }
    assert next(row for row in along.rows if row[1] == "full fits")[-1] is None


def test_only_data_with_timestamps_is_streamed_in_eight_parts_in_a_full_run(plan):
    data = dict.fromkeys(("yelp", "amazon-timed"), plan.data["tiny"])
    names = [job.name for job in jobs(Plan(data, plan.out, seeds=(3, 4)))]
    assert {name.split("/")[1] for name in names} == {"amazon-timed"}
    assert f"drift/amazon-timed/full-{N_PARTS - 1}/3" in names
    assert "drift/amazon-timed/full-1/4" not in names
