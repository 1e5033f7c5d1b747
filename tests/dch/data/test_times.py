"""Times in every unit and form, value by value."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from dch.data.ratings import Ratings
from dch.data.times import time_number, times_of
from dch.errors import RatingsError

NOON = 1_619_870_400_000  # 2021-05-01 12:00 UTC


@pytest.mark.parametrize(
    "values",
    [
        [1_619_870_400, 1_619_870_400_000, 1_619_870_400_000_000, 1_619_870_400_000_000_000],
        [
            "2021-05-01T12:00:00Z",
            "2021-05-01 12:00:00",
            "2021-05-01 12:00:00 UTC",
            "2021-05-01T14:00:00+02:00",
        ],
        [datetime(2021, 5, 1, 12), datetime(2021, 5, 1, 12, tzinfo=UTC)],
        [datetime(2021, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))],
        np.array(["2021-05-01T12:00"], "datetime64[ns]"),
        np.array([1_619_870_400]),
        [np.datetime64("2021-05-01T12:00").item()],
        [np.datetime64("2021-05-01T12:00"), np.datetime64("2021-05-01T12:00:00.000000000")],
    ],
)
def test_every_unit_and_form_gives_milliseconds(values):
    assert set(times_of(values, "x").tolist()) == {NOON}


def test_a_date_is_its_first_moment_and_nothing_is_no_time():
    midnight = NOON - 43_200_000
    assert (
        times_of([date(2021, 5, 1), "2021-05-01", None, 0, "", "NaT"], "x").tolist()
        == [midnight] * 2 + [0] * 4
    )
    assert times_of(np.array(["2021-05-01", "NaT"], "datetime64[ns]"), "x").tolist() == [midnight, 0]


class NoTruth:
    """What ``pandas.NA`` does: every comparison gives itself, and it has no truth value."""

    __hash__ = None

    def __eq__(self, other):
        return self

    __ne__ = __eq__

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), np.datetime64("NaT"), NoTruth()])
def test_a_missing_value_of_any_library_is_no_time(missing):
    assert time_number(missing, "x") == 0
    assert times_of([1_619_870_400, missing], "x").tolist() == [NOON, 0]
    assert times_of([missing, "2021-05-01 12:00"], "x").tolist() == [0, NOON]
    assert times_of([2, missing, 1], "x").tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "kind", ["Int64", "Float64", "string", "object", "datetime64[ns]", "datetime64[ns, UTC]"]
)
def test_a_column_of_pandas_with_a_gap_is_read_whatever_its_type(kind):
    pandas = pytest.importorskip("pandas", exc_type=ImportError)
    values = ["2021-05-01T12:00", None] if kind in {"string"} or kind.startswith("date") else [NOON, None]
    column = pandas.Series(pandas.array(values, dtype=kind))
    assert times_of(column, "x").tolist() == [NOON, 0]
    assert times_of(column.to_list(), "x").tolist() == [NOON, 0]
    ratings = Ratings.from_events(["u1", "u2"], ["i1", "i2"], pandas.Series([4, 5], dtype="Int64"), column)
    assert sorted(ratings.timestamps.tolist()) == [0, NOON]


def test_small_numbers_are_an_order():
    assert times_of([3, 1, 2], "x").tolist() == [3, 1, 2]
    assert times_of([0.5, 0.25, 0.5], "x").tolist() == [2, 1, 2]


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        (5, "5"),
        (-1000, "-1000"),
        (253_402_300_799, "253402300799"),
        (5e9, "5000000000"),
        ("1969-01-01", "-31536000000"),
    ],
)
def test_a_time_out_of_range_is_named(odd, found):
    with pytest.raises(RatingsError, match=rf"x\[1\]: expected a time from 1990 to 2099, .* got {found}$"):
        times_of([1_700_000_000, odd], "x")


@pytest.mark.parametrize(
    "wrong", [True, False, np.zeros(2), np.zeros(0), "yesterday", "05/01/2021", [], 1e400]
)
def test_what_is_no_time_is_refused(wrong):
    with pytest.raises(RatingsError, match="x: expected a time from 1990 to 2099"):
        time_number(wrong, "x")
