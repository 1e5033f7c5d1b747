"""Ids as programs hold them become text, or are refused."""

import numpy as np
import pytest

from dch import Ratings
from dch.data.features import availability
from dch.data.ids import id_text, id_texts
from dch.errors import RatingsError


class Column:
    """A column as pandas holds it."""

    def __init__(self, values):
        self.values = np.array(values)

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.values.dtype)

    def __iter__(self):
        return iter(self.values)

    def tolist(self):
        return self.values.tolist()


@pytest.mark.parametrize("given", [7, 7.0, "7", np.int32(7), np.uint64(7), np.float32(7), np.str_("7")])
def test_a_whole_number_of_any_type_is_the_text_of_the_integer(given):
    assert id_text(given, "x") == "7"
    assert type(id_text(given, "x")) is str


@pytest.mark.parametrize(
    "given", [None, "", True, np.bool_(True), b"7", float("nan"), float("inf"), [7], 2.0**54]
)
def test_what_is_no_id_is_refused(given):
    with pytest.raises(RatingsError, match="x: expected an id, got"):
        id_text(given, "x")


def test_an_error_in_a_column_names_the_position():
    with pytest.raises(RatingsError, match=r"users\[1\]: expected an id, got None"):
        id_texts(["a", None], "users")
    with pytest.raises(RatingsError, match=r"users\[1\]: expected an id, got ''"):
        id_texts(["a", ""], "users")


@pytest.mark.parametrize("column", [np.array, list, Column], ids=["numpy", "list", "pandas"])
def test_ratings_take_columns_of_numbers(column):
    ratings = Ratings.from_events(
        column([1, 2, 1]), column([7, 7, 8]), column([4, 5, 3]), item_features={7: {"title": "Seven"}}
    )
    assert (ratings.user_ids.ids(), ratings.item_ids.ids()) == (["1", "2"], ["7", "8"])
    assert ratings.item_features == {"7": {"title": "Seven"}}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["a", "b \ud800"], ["i", "j"], [1, 2]), "users: expected an id that UTF-8 can hold"),
        ((["a", "b"], ["i", "j"], [1, 1e39]), r"ratings\[1\]: expected a finite number, got 1e\+39"),
        ((["a", "b"], ["i", "j"], [1, "x"]), "ratings: expected numbers"),
        (([10**5000], ["i"], [1]), r"users\[0\]: expected an id, got a number of too many digits"),
        ((["a"], ["i"], [10**400]), "ratings: expected numbers"),
        (
            (["a"], ["i"], [1], [10**5000]),
            r"timestamps\[0\]: expected a time .* got a number of too many digits",
        ),
        (
            (["a", "b"], ["i", "j"], [1, 2], [1_700_000_000, 253_402_300_799]),
            r"timestamps\[1\]: expected a time",
        ),
        ((["a", "b"], ["i", "j"], [1, 2], [1_700_000_000, 5]), r"timestamps\[1\]: expected a time"),
    ],
)
def test_odd_values_are_refused_at_the_door(columns, message):
    with pytest.raises(RatingsError, match=message):
        Ratings.from_events(*columns)


@pytest.mark.parametrize("value", [False, 0, 0.0, -1, "false", "No", "0", "0.0", "-3", " off "])
def test_an_item_can_be_hidden_in_many_ways(value):
    assert availability({"available": value}) is False


@pytest.mark.parametrize(
    "features", [{}, *({"available": value} for value in (None, True, 1, 12, "yes", "TRUE", "1.0", "12", ""))]
)
def test_other_items_are_available(features):
    assert availability(features) is True


@pytest.mark.parametrize("value", ["sold out", float("nan"), "nan", [], {}])
def test_an_availability_that_is_not_understood_is_an_error(value):
    with pytest.raises(RatingsError, match="item 'i': available: expected true or false, got"):
        Ratings.from_events(["u"], ["i"], [1], item_features={"i": {"available": value}})
