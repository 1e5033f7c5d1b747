"""The rating log holds the same ratings as the library makes of the same events."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dch.data.ratings import Ratings
from streams.messages import FeatureRecord, RatingEvent, encode_rating
from streams.trainer.rating_log import RatingLog
from tests.streams.messages.records import record

T = 1_700_000_000_000
events = st.lists(
    st.builds(
        RatingEvent,
        user=st.sampled_from(["u1", "u2"]),
        item=st.sampled_from(["i1", "i2"]),
        rating=st.none() | st.sampled_from([1.0, 5.0]),
        timestamp=st.integers(T, T + 3),
    ),
    max_size=8,
)


def rating_log(events, size=3):
    """Return a log to which the events were added as records of one partition, ``size`` at a time."""
    records = [record(encode_rating(event), offset=offset) for offset, event in enumerate(events)]
    log = RatingLog()
    for start in range(0, len(records), size):
        log.add_ratings([*records[start : start + size], record("not JSON")])
    return log


def triples(ratings):
    columns = zip(ratings.users, ratings.items, ratings.values, ratings.timestamps, strict=True)
    return [(ratings.user_ids[u], ratings.item_ids[i], v, t) for u, i, v, t in columns]


@given(events)
def test_live_ratings_equal_those_of_the_library(found):
    expected = Ratings.from_events(
        [event.user for event in found],
        [event.item for event in found],
        [math.nan if event.rating is None else event.rating for event in found],
        [event.timestamp for event in found],
    )
    log = rating_log(found)
    ratings, beyond = log.ratings({})
    assert triples(ratings) == triples(expected)
    assert len(log) == log.n_beyond({}) == len(found)
    assert beyond.all()


@given(events, st.integers(T, T + 3))
def test_a_tombstone_forgets_the_ratings_up_to_its_time_and_an_id_without_ratings(found, until):
    log = rating_log(found)
    everything = triples(log.ratings({})[0])
    log.add_user(FeatureRecord("u1", {"age": 3}), 0)
    log.add_user(FeatureRecord("u1", None), until)
    ratings, _ = log.ratings({})
    assert triples(ratings) == [row for row in everything if row[0] != "u1" or row[3] > until]
    assert ("u1" in ratings.user_ids) == any(row[0] == "u1" for row in triples(ratings))
    assert ratings.user_features == {}


def test_ratings_at_or_beyond_the_watermarks_are_new():
    log = rating_log([RatingEvent("u", f"i{at}", 5.0, T + at) for at in range(6)])
    assert log.n_beyond({0: 4, 3: 9}) == 2
    assert log.ratings({0: 4})[1].tolist() == [False] * 4 + [True] * 2


@given(st.permutations([(5, 1, {"year": 1}), (7, 3, {"year": 2}), (7, 4, {"year": 3}), (6, 9, None)]))
def test_the_newest_record_of_an_id_counts_whatever_the_order_of_reading(found):
    log = rating_log(
        [
            RatingEvent("x", "x", 5.0, T + 6),
            RatingEvent("x", "y", 5.0, T + 7),
            RatingEvent("y", "x", 5.0, T + 7),
        ]
    )
    for timestamp, offset, features in found:
        log.add_item(FeatureRecord("x", features), T + timestamp, offset)
        log.add_user(FeatureRecord("x", features), T + timestamp, offset)
    ratings, _ = log.ratings({})
    assert ratings.item_features == ratings.user_features == {"x": {"year": 3}}
    assert triples(ratings) == [("x", "y", 5.0, T + 7), ("y", "x", 5.0, T + 7)]


def test_an_item_with_features_and_no_rating_has_a_row():
    log = rating_log([RatingEvent("u", "i", 5.0, T + 1)])
    log.add_item(FeatureRecord("new", {"genres": ["a"]}), 0)
    ratings, _ = log.ratings({})
    assert list(ratings.item_ids) == ["i", "new"]
    assert ratings.item_features == {"new": {"genres": ["a"]}}
