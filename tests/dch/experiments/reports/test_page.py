"""Averages over seeds, and lines through them."""

from dch.experiments.reports.page import Line, Spread, line_of, spread_of


def test_a_spread_is_the_mean_and_deviation_of_the_known_values():
    assert spread_of([1.0, None, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert spread_of([0.5]) == Spread(0.5, 0.0)
    assert spread_of([None]) is None


def test_a_line_goes_through_the_known_values_and_has_no_band_without_deviations():
    assert line_of({1: Spread(0.5, 0.1), 2: None, 4: Spread(0.7, 0.0)}) == Line(
        [1, 4], [0.5, 0.7], [0.1, 0.0]
    )
    assert line_of({1: Spread(0.5, 0.0)}) == Line([1], [0.5])
