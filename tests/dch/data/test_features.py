"""Feature tokens: exact values, ranges of numbers and years of titles, the same in a fit and in a worker."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.data import features
from dch.data.features import tokens
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.data.readers.feature_table import read_feature_table
from dch.models.model import Vocabulary
from dch.training.rating_weights import infer_scale
from dch.training.training_bags import make_training_bags


@pytest.mark.parametrize("age", [25, 25.0, "25", "25.0"])
def test_a_number_gives_itself_and_its_range_however_it_is_written(age):
    assert tokens({"age": age}) == ["age=25", "age~20"]


@pytest.mark.parametrize(
    ("price", "start"),
    [
        *[(1, "1"), (1.49, "1"), (12.99, "10"), (15, "15"), (9.999999999999998, "7"), (0.025, "0.02")],
        *[(-35, "-30"), (0, "0"), (2100, "2000"), (1799, "1500"), (3e20, "3e+20")],
    ],
)
def test_ranges_begin_at_round_numbers(price, start):
    assert tokens({"price": price})[1] == f"price~{start}"


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_range_holds_its_numbers_and_ends_at_its_start_times_one_and_two_thirds_at_most(value):
    if value.is_integer() and 1800 <= value < 2100:
        return
    start = float(tokens({"x": value})[1].removeprefix("x~"))
    assert start * (1 - 1e-9) <= value < start * 5 / 3 * (1 + 1e-9)


def test_a_whole_number_that_may_be_a_year_gives_its_decade():
    assert tokens({"published": "1995"}) == ["published=1995", "published~1990"]
    assert tokens({"published": [1800, 2099]})[1::2] == ["published~1800", "published~2090"]


@pytest.mark.parametrize(
    "title", ["Heat (1995)", "Heat (1995) (TV)", "(500) Heat (1990) (1995)", "Heat (1995) (9999)"]
)
def test_a_title_gives_the_last_year_in_parentheses_and_no_word(title):
    assert tokens({"title": title, "genres": ["War"]}) == ["genres=War", "year=1995", "year~1990"]


@pytest.mark.parametrize("title", ["1984", "Heat (95)", "Heat (19955)", "2001: A Space Odyssey", 1995, None])
def test_other_digits_of_a_title_give_nothing(title):
    assert tokens({"title": title}) == []


def test_the_year_of_a_record_counts_before_that_of_its_title():
    assert tokens({"title": "Heat (1995)", "year": 1996}) == ["year=1996", "year~1990"]


@pytest.mark.parametrize("value", ["007", "1e3", "1_000", " 25", "٢٥", "-", True, "12345678901234567"])
def test_a_code_or_another_text_is_no_number(value):
    assert tokens({"x": value}) == [f"x={value}"]


@pytest.mark.parametrize("value", [10**400, math.nan, math.inf, -math.inf])
def test_a_number_without_a_range_gives_itself_alone(value):
    assert tokens({"x": value}) == [f"x={value}"]


def test_a_table_and_a_json_object_give_the_same_tokens(tmp_path):
    file = tmp_path / "items.csv"
    file.write_text("item,title,price,year,genres\ni1,Heat (1995),12.50,1996,Drama|War\n")
    from_json = {"title": "Heat (1995)", "price": 12.5, "year": 1996, "genres": ["Drama", "War"]}
    assert tokens(read_feature_table(file, "item", "utf-8")["i1"]) == tokens(from_json)


def test_the_tokens_of_a_fit_are_those_that_serving_finds():
    rng = np.random.default_rng(0)
    records = {
        f"i{row}": {
            "title": f"T ({1980 + row % 30})",
            "price": round(float(rng.gamma(2, 9)), 2),
            "n": row % 7,
        }
        for row in range(60)
    }
    items = [f"i{row}" for row in range(60)]
    ratings = Ratings.from_events(["u"] * 60, items, rng.integers(1, 6, 60), item_features=records)
    bags = make_training_bags(
        ratings, infer_scale(ratings.values, DchConfig(), graded=True), min_token_count=3
    )[1]
    vocabulary = Vocabulary(IdTable(["u"]), IdTable(bags.feature_names))
    assert {"year", "price", "n"} == {name.partition("~")[0] for name in bags.feature_names if "~" in name}
    for row, item in enumerate(bags.ids):
        fitted = bags.feature_tokens[bags.feature_starts[row] : bags.feature_starts[row + 1]]
        assert vocabulary.of_features(records[item]).tolist() == fitted.tolist()


def test_tokens_of_long_texts_are_not_kept_in_memory():
    before = features._kept_tokens.cache_info().currsize
    text = "x" * 10_000
    assert tokens({"plot": text, text: 1}) == [f"plot={text}", f"{text}=1", f"{text}~1"]
    assert features._kept_tokens.cache_info().currsize == before
    tokens({"genre": "a genre that no other test has"})
    assert features._kept_tokens.cache_info().currsize == before + 1


def test_values_that_are_equal_and_of_different_types_keep_their_tokens():
    for value, expected in (
        (1, ["a=1", "a~1"]),
        (True, ["a=True"]),
        (1.0, ["a=1", "a~1"]),
        ("1", ["a=1", "a~1"]),
    ):
        assert tokens({"a": value}) == expected
