"""Small inputs from situations that people reported, in the folder that ``DCH_TEST_CASES`` names.

The README of that folder says what each case is and what is right. The cases on Kafka are in
``tests/streams/test_kafka_cases.py``.
"""

import logging
import subprocess
import sys

import pytest

from dch import Ratings, RatingsError
from dch.data.features import availability

MAY_1 = 1_619_863_200_000  # 2021-05-01 10:00 UTC


def events_of(ratings):
    """Return the ratings as tuples, oldest first."""
    columns = zip(ratings.users, ratings.items, ratings.values, ratings.timestamps, strict=True)
    return [(ratings.user_ids[u], ratings.item_ids[i], float(v), int(t)) for u, i, v, t in columns]


FILES = {
    "03-other-time/created-at.csv": [("u1", "i1", 1.0, 1_620_000_000_000)],
    "03-other-time/date-column.csv": [("u1", "b1", 1.0, MAY_1)],
    "03-other-time/iso.csv": [("u1", "i1", 4.0, MAY_1)],
    "04-json-lines/reviews-2014.json": [("A1", "B1", 5.0, 1_393_545_600_000)],
    "04-json-lines/reviews-2014.jsonl": [("A1", "B1", 5.0, 1_393_545_600_000)],
    "04-json-lines/reviews-2023.jsonl": [("A1", "B1", 5.0, 1_588_615_855_070)],
    "05-events/plays.tsv": [("2", "51", 13_883.0, 0), ("2", "52", 11_690.0, 0)],
    "06-delimiters/books.csv": [("276", "0345", 0.0, 0), ("277", "0346", 8.0, 0)],
    "06-delimiters/dashes.csv": [("276", "0345", 0.0, 0), ("277", "0346", 8.0, 0)],
    "09-float-ids/a.csv": [("123", "9", 4.0, 0)],
    "09-float-ids/c.csv": [("123", "9", 4.0, 0), ("124", "9", 3.0, 0)],
    "14-mixed-times/seconds-and-ms.csv": [("u1", "i1", 5.0, 1_700_000_000_000)],
    "18-blanks/ratings.csv": [("u1", "i1", 5.0, 1_700_000_000_000), ("u2", "i1", 4.0, 1_700_000_001_000)],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_it_is_meant(case, name):
    assert events_of(Ratings.read(case(name))) == FILES[name]


@pytest.mark.parametrize("name", ["events.csv", "pairs.csv"])
def test_events_without_a_rating_count_one_and_the_log_says_which_option_helps(case, name, caplog):
    assert set(Ratings.read(case("05-events") / name).values) == {1.0}
    assert "each line counts 1" in caplog.text
    assert "--rating-column" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("06-delimiters/latin-1.csv", "csv:2: expected text in UTF-8, found .*give --encoding latin-1"),
        ("06-delimiters/no-header.csv", "no header, give --no-header"),
        ("14-mixed-times/one-sentinel.csv", "csv:3: timestamp: expected a time from 1990 .* '253402300799'"),
        ("17-negative-times/ratings.csv", "csv:2: timestamp: expected a time from 1990 to 2099.* '-1000'"),
    ],
)
def test_a_refusal_names_the_line_and_what_helps(case, name, message):
    with pytest.raises(RatingsError, match=message):
        Ratings.read(case(name))


def test_the_options_that_the_refusals_name_help(case):
    latin = Ratings.read(case("06-delimiters/latin-1.csv"), encoding="latin-1")
    assert events_of(latin) == [("José", "i1", 5.0, 0)]
    bare = Ratings.read(case("06-delimiters/no-header.csv"), header=False)
    assert events_of(bare)[0] == ("A1", "0001", 5.0, 1_393_545_600_000)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("items-csv", {"title": "First", "genres": ["War"]}),
        ("movies-order", {"title": "First", "genres": ["War", "Drama"]}),
        ("movies-four", {"title": "First", "genres": ["War"], "year": "1995"}),
    ],
)
def test_metadata_is_read_by_its_header(case, caplog, name, first):
    caplog.set_level(logging.WARNING)
    ratings = Ratings.read(case("11-metadata") / name / "ratings.csv")
    assert events_of(ratings) == [("u1", "1", 5.0, 0), ("u2", "2", 4.0, 0)]
    assert ratings.item_features["1"] == first
    assert caplog.text == ""


def test_odd_values_are_refused_at_the_door():
    with pytest.raises(RatingsError, match="finite"):
        Ratings.from_events(["bob"], ["i1"], [1e39])
    with pytest.raises(RatingsError, match="half a surrogate pair"):
        Ratings.from_events(["lone \ud800"], ["i1"], [5.0])


def test_items_are_hidden_by_what_is_no_json_false(case):
    features = Ratings.read(case("15-available/ratings.csv")).item_features
    hidden = {item for item, record in features.items() if availability(record) is False}
    assert hidden == {"i0", "i1", "i2"}


def run(script, *arguments):
    """Run the script of a case in its folder, and return what it prints."""
    command = [sys.executable, script.name, *arguments]
    ran = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=600, check=False)
    return ran.stdout, ran.stderr


@pytest.mark.prove
def test_ids_may_be_integers(case):
    out, _ = run(case("02-integer-ids/check.py"))
    fitted, excluded, only = out.splitlines()
    assert fitted == "a. integer columns: fitted"
    gone, left = excluded.removeprefix("c. exclude= ").split(" leaves ")
    assert not {f"'{id_}'" for id_ in gone.strip("[]").split(", ")} & set(left.strip("[]").split(", "))
    assert sorted(only.partition("leaves ")[2].strip("[]").split(", ")) == ["'1'", "'2'", "'3'"]


@pytest.mark.prove
def test_hidden_items_are_in_no_list(case):
    out, _ = run(case("15-available/check.py"))
    assert out == "{'i0': 'hidden', 'i1': 'hidden', 'i2': 'hidden'}\n"


@pytest.mark.prove
def test_one_odd_rating_moves_no_scale_and_counts_are_seen_as_counts(case):
    names = ("clean.csv", "one-typo.csv", "play-counts.csv")
    out, err = run(case("01-scale/check.py"), *names)
    clean, typo, plays = out.splitlines()
    assert "own taste 1.00, liked from 4: 554 of 942" in clean
    assert "own taste 1.00, liked from 4: 555 of 943" in typo
    assert clean.partition("newcomer")[2] == typo.partition("newcomer")[2]
    assert "own taste 1.00, liked from 1: 942 of 942" in plays
    assert "1 of 943 ratings lie far outside of the scale 1 to 5" in err
    assert "the ratings are counts" in err


@pytest.mark.prove
def test_a_rating_that_float32_cannot_hold_is_refused_by_a_fold_in(case):
    out, err = run(case("19-odd-values/check.py"))
    assert out == ""
    assert "RatingsError: rating must be a finite number, or NaN to withdraw, got 1e+39" in err
