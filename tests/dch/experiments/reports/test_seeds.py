"""Averages over seeds and numbers deep in an outcome."""

import pytest

from dch.experiments.reports.page import Spread
from dch.experiments.reports.seeds import JobName, look_up, spread_of


def test_a_spread_is_mean_and_deviation_over_the_values_that_are_there():
    assert spread_of([1.0, None, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert spread_of([0.5]) == Spread(0.5, 0.0)
    assert spread_of([None]) is None


@pytest.mark.parametrize(
    ("keys", "found"), [("ab", 2.0), ("ax", None), ("abc", None), ("t", None), ("", None)]
)
def test_a_number_is_looked_up_by_its_keys(keys, found):
    assert look_up({"a": {"b": 2}, "t": "text"}, *keys) == found


def test_a_job_name_has_four_parts():
    assert JobName.of("tables/ml-1m/dcf/2") == ("tables", "ml-1m", "dcf", 2)
