"""The pages of the tables, from outcomes written by hand."""

import pytest

from dch.experiments.reports.page import Plot, Spread
from dch.experiments.reports.published import PERCENT, published
from dch.experiments.reports.table_text import best_cells
from dch.experiments.reports.tables_report import ROWS, tables_pages


def outcome(value, strategy="scores", **others):
    metrics = {"hit@20": value, "ndcg@20": value / 2}
    cases = {case: {strategy: metrics} for case in ("EUEI", "EUNI", "NUEI")}
    return {"cases": cases, "fit_seconds": 2.0, "bytes_per_item": 8} | others


def outcomes(ours=0.6, dcf=0.3, ch=0.4, data="yelp"):
    return {
        f"tables/{data}/{what}/{seed}": outcome(value + 0.02 * seed, strategy)
        for what, value, strategy in (
            ("dch-2-ranking", ours, "codes"),
            ("dcf", dcf, "scores"),
            ("ch", ch, "scores"),
        )
        for seed in (0, 1)
    }


def page(found, name):
    return next(one for one in tables_pages(found) if one.name == name)


def test_our_figures_are_shown_beside_the_published_ones():
    rows = {tuple(row[:2]): row[2:] for row in page(outcomes(), "tables_hit").rows}
    mean, was = rows["EUEI", "DCF"]
    assert (mean.mean, mean.std, was) == (
        pytest.approx(0.31),
        pytest.approx(0.02 / 2**0.5),
        pytest.approx(0.3026),
    )
    assert rows["EUNI", "CH-like"][1] is None
    assert rows["EUEI", "CH-like"][1] == pytest.approx(0.3914)
    assert rows["NUEI", "DCH-2 (ranking)"] == [Spread(*rows["NUEI", "DCH-2 (ranking)"][0]), 0.355]


def test_methods_without_a_figure_have_no_row():
    measured_or_published = {
        row.label for row in ROWS if row.what in ("dch-2-ranking", "dcf", "ch") or row.published
    }
    for name in ("tables_hit", "tables_ndcg"):
        assert {row[1] for row in page(outcomes(), name).rows} == measured_or_published
    assert {row[0] for row in page(outcomes(), "tables_cost").rows} >= {"DCF", "CH-like", "DCH-2 (ranking)"}
    assert "two-stage, ITQ" not in {row[0] for row in page(outcomes(), "tables_cost").rows}


def test_without_both_baselines_no_page_compares_with_them():
    found = {name: one for name, one in outcomes().items() if "/dch-2" in name}
    assert "tables_cells" not in {one.name for one in tables_pages(found)}


@pytest.mark.parametrize(
    ("figures", "n_above"), [({}, 6), ({"ours": 0.35}, 0), ({"ours": 0.4, "ch": 0.4}, 0)]
)
def test_every_cell_tells_whether_dch_2_is_above_both_baselines(figures, n_above):
    table = page(outcomes(**figures), "tables_cells")
    assert f": {n_above} of 6 cells" in table.title
    assert sum(row[-1] for row in table.rows) == n_above


def test_the_ceiling_stands_beside_dch_2_and_is_never_bold():
    found = outcomes() | {f"tables/yelp/ceiling-ranking/{seed}": outcome(0.9, "codes") for seed in (0, 1)}
    table = page(found, "tables_hit")
    rows = [row for row in table.rows if row[0] == "EUEI"]
    (at,) = [at for at, row in enumerate(rows) if row[1] == "cold fit on all ratings (ceiling)"]
    assert rows[at - 1][1] == "DCH-2 (ranking)"
    assert rows[at][2:] == [Spread(0.9, 0.0), None]
    bold = {table.rows[row][1] for row, column in best_cells(table) if column == 2}
    assert bold == {"DCH-2 (ranking)"}


@pytest.mark.parametrize("missing", ["dcf", "ch", "dch-2-ranking"])
def test_a_cell_is_empty_where_one_of_the_three_was_not_run(missing):
    found = {name: one for name, one in outcomes().items() if missing not in name}
    table = page(found, "tables_cells")
    assert ": 0 of 6 cells" in table.title
    assert [row[-1] for row in table.rows] == [None] * 6


def test_a_baseline_that_was_run_and_cannot_rank_counts_as_below():
    found = outcomes()
    for seed in (0, 1):
        del found[f"tables/yelp/ch/{seed}"]["cases"]["NUEI"]
    assert ": 6 of 6 cells" in page(found, "tables_cells").title


def test_missing_outcomes_are_dashes_and_there_are_no_pages_without_outcomes():
    found = {"tables/yelp/dcf/0": outcome(0.3)}
    assert "0 of 6 cells" in page(found, "tables_cells").title
    (panel, *_) = next(one for one in tables_pages(found) if isinstance(one, Plot)).panels
    assert list(panel.lines) == ["DCF"]
    assert tables_pages({}) == []


def test_a_method_that_was_left_out_is_named_with_the_reason():
    found = outcomes() | {"tables/yelp/ease/0": {"left_out": "there are 33,000 items"}}
    note = page(found, "tables_hit").note
    assert "EASE was left out on yelp: there are 33,000 items." in note


def test_the_published_figures_are_72_with_eight_gaps():
    figures = [one for rows in PERCENT.values() for row in rows for one in row]
    assert (len(figures), figures.count(None)) == (72, 8)
    assert published("ndcg@20", "EUEI", "CH", "yelp") == pytest.approx(0.1)
    assert published("hit@20", "EUNI", "CH", "yelp") is None
    assert published("hit@20", "EUEI", "iALS", "yelp") is None
    assert published("hit@20", "EUEI", "CH", "ml-100k") is None
