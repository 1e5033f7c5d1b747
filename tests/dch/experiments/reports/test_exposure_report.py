"""The exposure curve as a table and a plot, over seeds."""

import pytest

from dch.experiments.reports.exposure_report import COLUMNS, exposure_pages


def outcome(first, second):
    curve = {"new_item_share": [0.0, 0.1], **{what: [first, second] for what in COLUMNS}}
    return {"even": {"of_catalogue": 0.1, "of_relevant": 0.08}, "curves": {"codes": curve}}


def test_a_row_has_the_mean_and_deviation_over_seeds_for_one_reserved_share():
    found = {("exposure", 0): outcome(0.1, 0.3), ("exposure", 1): outcome(0.2, 0.3), ("codes", 0): {}}
    few = {("exposure-few", 0): outcome(0.01, 0.02)}
    table, plot = exposure_pages({"ml-1m": found | few, "yelp": few})
    assert [row[:4] for row in table.rows] == [
        (name, given, "codes", reserved)
        for name, given in (("ml-1m", "80%"), ("ml-1m", "5"), ("yelp", "5"))
        for reserved in ("0%", "10%")
    ]
    assert table.rows[0][4].mean == pytest.approx(0.15)
    assert table.rows[1][4] == (pytest.approx(0.3), 0)
    assert table.rows[3][4].mean == pytest.approx(0.02)
    assert table.seeds == [{"ml-1m": [0, 1]}] * 2 + [{"ml-1m": [0]}] * 2 + [{"yelp": [0]}] * 2
    assert plot.seeds == {"ml-1m": [0, 1]}
    assert "10.0% of the catalogue and have 8.0% of the relevant ratings" in table.note
    line = plot.panels[0].lines["codes"]
    assert (line.x, line.y) == ([0, 10], pytest.approx([15, 30]))


def test_no_reference_is_announced_where_none_was_measured():
    (table,) = exposure_pages({"yelp": {("exposure-few", 0): outcome(0.01, 0.02)}})
    assert table.note.endswith("likewise for training items.")


def test_there_are_no_pages_without_outcomes():
    assert exposure_pages({"ml-1m": {("codes", 0): {}}}) == []
