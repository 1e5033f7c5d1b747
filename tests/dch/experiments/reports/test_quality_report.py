"""Quality beside the baselines, from outcomes written by hand."""

import pytest

from dch.experiments.reports.page import Spread
from dch.experiments.reports.quality_report import quality_pages


def cases(**by_strategy):
    return {
        case: {strategy: {"ndcg@20": value} for strategy, value in by_strategy.items()}
        for case in ("EUEI", "NUEI")
    }


def ours(weighted, reranked, default):
    strategies = {"codes-weighted": weighted, "codes+rerank": reranked, "default": default}
    return {"cases": cases(**strategies), "bytes_per_item": {"default": 234}}


def of_baseline(value, size, **others):
    return {
        "cases": cases(scores=value),
        "bytes_per_item": size,
        "settings": {"k": 32},
        "trials": 20,
        "seconds": 1.5,
    } | others


FOUND = {
    ("codes", 3): ours(0.3, 0.35, 0.4),
    ("codes", 4): ours(0.32, 0.37, 0.42),
    ("no-neighbours", 3): {"cases": cases(**{"codes+rerank": 0.355})},
    ("long-vectors", 3): {"cases": cases(**{"codes-weighted": 0.33, "codes+rerank": 0.36})},
    ("ease-pruned", 3): of_baseline(0.41, 160, smaller={"8": {"ndcg@20": 0.1}, "16": {"ndcg@20": 0.2}}),
    ("ease", 3): {"left_out": "too many items"},
}


@pytest.fixture(scope="module")
def pages():
    return {page.name: page for page in quality_pages({"yelp": FOUND})}


def test_methods_are_compared_within_a_case_over_their_seeds(pages):
    rows = {row[:2]: row[2] for row in pages["quality"].rows}
    default = rows["known users (EUEI)", "default list: with neighbours where they pay"]
    assert default == Spread(pytest.approx(0.41), pytest.approx(0.02 / 2**0.5))
    assert rows["known users (EUEI)", "EASE, strongest weights"] == Spread(pytest.approx(0.41), 0)
    assert ("known users (EUEI)", "EASE") not in rows
    assert not any("new items" in case for case, _ in rows)  # not measured


def test_each_baseline_has_its_size_and_trials_or_why_it_was_left_out(pages):
    rows = {row[1]: row[2:] for row in pages["baselines"].rows}
    assert rows["EASE, strongest weights"] == (160, 20, "k 32", Spread(1.5, 0))
    assert rows["EASE"] == (None, None, "left out: too many items", None)
    assert "BPR" not in rows


def test_each_row_and_the_plot_have_the_seeds_of_their_outcomes(pages):
    seeds = {row[1]: of for row, of in zip(pages["quality"].rows, pages["quality"].seeds, strict=True)}
    assert seeds["default list: with neighbours where they pay"] == {"yelp": [3, 4]}
    assert seeds["EASE, strongest weights"] == {"yelp": [3]}
    assert pages["baselines"].seeds == [{"yelp": [3]}] * 2
    assert pages["quality_by_size"].seeds == {"yelp": [3]}


def test_the_plot_has_the_points_of_the_first_seed_by_size(pages):
    (panel,) = pages["quality_by_size"].panels
    lines = {label: (list(line.x), list(line.y)) for label, line in panel.lines.items()}
    assert lines == {
        "codes, vectors, neighbours": ([8, 16, 72, 136, 234], [0.3, 0.33, 0.355, 0.36, 0.4]),
        "EASE, strongest weights": ([8, 16, 160], [0.1, 0.2, 0.41]),
    }
