"""The part of cold start: jobs on planted tastes, and pages of complete and incomplete outcomes."""

import json

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.jobs.cold_curve import jobs
from dch.experiments.plan import Plan
from dch.experiments.reports.cold_curve_report import cold_curve_pages

CONFIG = DchConfig(
    steps=40, hidden=128, vector_size=8, batch=100, teacher_alpha=5.0, teacher_factors=8, threads=1
)


def plan_over(folder, *, with_genres):
    """Ratings of two tastes: users like the items of their own parity; genres may reveal it."""
    rng = np.random.default_rng(0)
    pairs = {(int(user), int(item)) for user, item in rng.integers(0, [150, 120], (9000, 2))}
    lines = [f"u{user},i{item},{5 if (user + item) % 2 == 0 else 2}" for user, item in sorted(pairs)]
    folder.mkdir()
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    if with_genres:
        items = [json.dumps({"item": f"i{item}", "genres": ["a", "b"][item % 2]}) for item in range(120)]
        (folder / "items.jsonl").write_text("\n".join(items))
    data = {folder.name: folder, "amazon-timed": folder}
    return Plan(data, folder / "out", seeds=(0,), quick=True, config=CONFIG)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    plan = plan_over(tmp_path_factory.mktemp("cold") / "tiny", with_genres=True)
    return {job.name: json.loads(json.dumps(job.run())) for job in jobs(plan)}


def _row(table, *keys):
    (row,) = (row for row in table.rows if tuple(row[1:3]) == keys)
    return [figure.mean if figure else None for figure in row[3:]]


def test_given_ratings_improve_lists_and_features_alone_improve_those_of_new_items(outcomes):
    assert set(outcomes) == {"cold/tiny/dch/0", "cold/tiny/ials/0"}  # amazon-timed is used for drift only
    _, ndcg, _ = cold_curve_pages(outcomes)
    users = _row(ndcg, "new users", "codes")
    assert users[0] == _row(ndcg, "new users", "popular")[0] == _row(ndcg, "new users", "iALS, 64 floats")[0]
    assert users[-1] > 1.5 * users[0]
    items = "new items, among themselves"
    assert _row(ndcg, items, "codes")[0] > _row(ndcg, items, "popular")[0] + 0.1
    assert _row(ndcg, items, "iALS, 64 floats")[0] is None
    assert _row(ndcg, items, "iALS, 64 floats")[-1] > 0


def test_the_plot_shows_every_method_in_three_panels(outcomes):
    *_, plot = cold_curve_pages(outcomes)
    assert [panel.title for panel in plot.panels] == [
        "New users",
        "New items, among themselves",
        "New items, among all items",
    ]
    assert list(plot.panels[0].lines) == ["codes", "codes, reranked", "iALS, 64 floats", "popular"]
    assert list(plot.panels[0].lines["codes"].x) == [0, 1, 2, 5, 10, 20]
    assert list(plot.panels[1].lines["iALS, 64 floats"].x) == [1, 2, 5, 10, 20]


def test_a_new_item_without_features_has_a_dash_at_zero_ratings(tmp_path):
    plan = plan_over(tmp_path / "plain", with_genres=False)
    job = next(job for job in jobs(plan) if "/dch/" in job.name)
    hit, *_ = cold_curve_pages({job.name: job.run()})
    figures = _row(hit, "new items, among themselves", "codes")
    assert figures[0] is None
    assert None not in figures[1:]


def test_the_pages_show_only_methods_that_have_outcomes(outcomes):
    assert cold_curve_pages({}) == []
    hit, *_ = cold_curve_pages({"cold/tiny/ials/0": outcomes["cold/tiny/ials/0"]})
    assert {row[2] for row in hit.rows} == {"iALS, 64 floats"}
