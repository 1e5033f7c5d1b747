"""What a fit is given: the same as the library makes of the same events."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dch.data.ratings import Ratings
from streams.messages import FeatureRecord, RatingEvent, encode_rating
from streams.trainer.rating_log import RatingLog
from tests.streams.messages.records import record

events = st.lists(
    st.builds(
        RatingEvent,
        user=st.sampled_from(["u1", "u2"]),
        item=st.sampled_from(["i1", "i2"]),
        rating=st.none() | st.sampled_from([1.0, 5.0]),
        timestamp=st.integers(0, 3),
    ),
    max_size=8,
)


def material(found, size=3):
    """Return material that was given events in records of one partition, a few at a time."""
    records = [record(encode_rating(event), offset=at) for at, event in enumerate(found)]
    made = RatingLog()
    for start in range(0, len(records), size):
        made.add_ratings([*records[start : start + size], record("not JSON")])
    return made


def triples(ratings):
    columns = zip(ratings.users, ratings.items, ratings.values, ratings.timestamps, strict=True)
    return [(ratings.user_ids[u], ratings.item_ids[i], v, t) for u, i, v, t in columns]


@given(events)
def test_live_ratings_are_those_of_the_library(found):
    expected = Ratings.from_events(
        [event.user for event in found],
        [event.item for event in found],
        [math.nan if event.rating is None else event.rating for event in found],
        [event.timestamp for event in found],
    )
    made = material(found)
    ratings, beyond = made.ratings({})
    assert triples(ratings) == triples(expected)
    assert len(made) == made.n_beyond({}) == len(found)
    assert beyond.all()


@given(events, st.integers(0, 3))
def test_a_tombstone_takes_back_what_is_not_later_and_the_id(found, until):
    made = material(found)
    everything = triples(made.ratings({})[0])
    made.add_user(FeatureRecord("u1", {"age": 3}), 0)
    made.add_user(FeatureRecord("u1", None), until)
    ratings, _ = made.ratings({})
    assert triples(ratings) == [at for at in everything if at[0] != "u1" or at[3] > until]
    assert ("u1" in ratings.user_ids) == any(at[0] == "u1" for at in triples(ratings))
    assert ratings.user_features == {}


def test_what_lies_beyond_the_watermarks_is_new():
    made = material([RatingEvent("u", f"i{at}", 5.0, at) for at in range(6)])
    assert made.n_beyond({0: 4, 3: 9}) == 2
    assert made.ratings({0: 4})[1].tolist() == [False] * 4 + [True] * 2


@given(st.permutations([(5, 1, {"year": 1}), (7, 3, {"year": 2}), (7, 4, {"year": 3}), (6, 9, None)]))
def test_of_several_records_of_an_id_the_newest_counts_in_whatever_order_they_are_read(found):
    made = material(
        [RatingEvent("x", "x", 5.0, 6), RatingEvent("x", "y", 5.0, 7), RatingEvent("y", "x", 5.0, 7)]
    )
    for timestamp, offset, features in found:
        made.add_item(FeatureRecord("x", features), timestamp, offset)
        made.add_user(FeatureRecord("x", features), timestamp, offset)
    ratings, _ = made.ratings({})
    assert ratings.item_features == ratings.user_features == {"x": {"year": 3}}
    assert triples(ratings) == [("x", "y", 5.0, 7), ("y", "x", 5.0, 7)]


def test_features_name_users_and_items_without_ratings():
    made = material([RatingEvent("u", "i", 5.0, 1)])
    made.add_item(FeatureRecord("new", {"genres": ["a"]}), 0)
    ratings, _ = made.ratings({})
    assert list(ratings.item_ids) == ["i", "new"]
    assert ratings.item_features == {"new": {"genres": ["a"]}}
