"""Cells as text, and which are the best."""

import pytest

from dch.experiments.reports.page import Spread, Table
from dch.experiments.reports.table_text import best_cells, markdown, shown_rows


def table(rows, **options):
    return Table("t", "T", ["a", *(f"c{at}" for at in range(len(rows[0]) - 1))], rows, **options)


@pytest.mark.parametrize(
    ("cell", "options", "shown"),
    [
        (0.12345, {}, "0.123"),
        (0.12345, {"percent": True}, "12.3%"),
        (0.12345, {"percent": True, "decimals": 4}, "12.35%"),
        (Spread(0.5, 0.0125), {"percent": True, "decimals": 2}, "50% ± 1%"),
        (Spread(0.5, 0.0), {}, "0.500"),
        (1234.5, {"decimals": 1}, "1,234.5"),
        (1234, {}, "1,234"),
        (True, {}, "yes"),
        (None, {}, "–"),  # noqa: RUF001
        (float("nan"), {}, "–"),  # noqa: RUF001
        ("a|b", {}, "a\\|b"),
    ],
)
def test_a_cell_is_shown_as_text(cell, options, shown):
    assert shown_rows(table([("x", cell)], **options)) == [["x", shown]]


def test_the_best_of_a_row_is_bold_and_figures_that_look_equal_tie():
    rows = [("x", 0.1, Spread(0.3, 0.1), 0.30004, 7), ("y", 0.2, None, None, 9)]
    assert best_cells(table(rows, best="row")) == {(0, 2), (0, 3)}
    assert "**0.300 ± 0.100** | **0.300** | 7" in markdown(table(rows, best="row"))
    assert best_cells(table(rows)) == set()


def test_the_best_of_a_group_is_found_per_column_among_rows_with_the_same_first_cell():
    rows = [("x", "m", 0.1, 0.2), ("x", "n", 0.3, 0.1), ("y", "m", 0.05, None), ("y", "n", 0.01, 0.9)]
    assert best_cells(table(rows, best="group")) == {(1, 2), (0, 3), (2, 2)}


def test_a_row_that_is_not_compared_is_never_bold():
    rows = [("x", "m", 0.1), ("x", "most", 0.9), ("x", "n", 0.3), ("y", "m", 0.2), ("y", "n", 0.1)]
    assert best_cells(table(rows, best="group", not_compared=["most"])) == {(2, 2), (3, 2)}
