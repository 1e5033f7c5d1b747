"""Records of ``item-ratings``."""

from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages.item_ratings import (
    ItemRating,
    decode_item_rating,
    decode_item_ratings,
    encode_item_rating,
)
from tests.streams.messages.records import json_values, objects, record

ids = st.text(min_size=1, max_size=80).filter(lambda text: len(text.encode()) <= 256)
ratings = st.builds(
    ItemRating,
    user=ids,
    item=ids,
    rating=st.none() | st.sampled_from([1.0, 4.5, -2.0]),
    timestamp=st.integers(0, 10**12),
    offset=st.integers(0, 2**63 - 1),
)


@given(st.lists(ratings, max_size=4))
def test_decode_returns_the_item_ratings_that_were_encoded(found):
    assert decode_item_ratings([record(encode_item_rating(rating)) for rating in found]) == found


@given(st.binary(max_size=20) | json_values.map(str) | objects("user", "item", "rating", "offset").map(str))
def test_any_bytes_decode_or_yield_a_bad_record(value):
    (found,) = decode_item_ratings([record(value)])
    assert isinstance(found, ItemRating | BadRecord)


def test_a_bad_record_names_the_invalid_field():
    (found,) = decode_item_ratings([record('{"user": "u", "item": "i", "rating": 1, "timestamp": 5}')])
    assert str(found) == "offset: missing"
    (found,) = decode_item_ratings([record(None)])
    assert found.reason == "tombstone"


def test_one_record_is_judged_as_it_is_among_many():
    unreadable_name = b'{"user": "u", "item": "i", "rating": 1, "timestamp": 5, "offset": 2, "\xff": 0}'
    found = record(unreadable_name)
    assert decode_item_ratings([found]) == [decode_item_rating(found)]
