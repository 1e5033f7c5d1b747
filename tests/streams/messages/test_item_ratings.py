"""Records of ``item-ratings``."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages.item_ratings import (
    ItemRatings,
    decode_item_rating,
    decode_item_ratings,
    encode_item_ratings,
    joined,
)
from tests.streams.messages.records import json_values, objects, record

ids = st.text(min_size=1, max_size=80).filter(lambda text: len(text.encode()) <= 256)
events = st.tuples(
    ids,
    ids,
    st.none() | st.sampled_from([1.0, 4.5, -2.0]),
    st.integers(0, 10**12),
    st.integers(0, 2**63 - 2),
)
OLD = b'{"user": "u", "item": "i", "rating": 1, "timestamp": 5, "offset": 2}'


def of(found):
    """Return events as columns."""
    return ItemRatings(*([event[at] for event in found] for at in range(5)))


@given(st.lists(events, max_size=200))
@example([("\0" * 64, "\0" * 64, None, 1, 1)] * 65)
@example([("\0" * 256, "\0" * 256, -1.23456789e-30, 10**12, 2**63 - 2)] * 17)
@example([("u", "i", 1.0, 1, 1)] * 64)
def test_decode_returns_the_events_that_were_encoded_and_no_record_is_too_large(found):
    records = [record(value) for value in encode_item_ratings(of(found))]
    assert joined(decode_item_ratings(records)) == of(found)
    assert all(len(one.value) < 64 << 10 for one in records)


def test_a_batch_is_few_records():
    assert len(list(encode_item_ratings(of([("u", "i", 1.0, 1, 1)] * 640)))) == 10


@given(st.binary(max_size=20) | json_values.map(str) | objects("user", "item", "rating", "offset").map(str))
def test_any_bytes_decode_or_yield_a_bad_record(value):
    (found,) = decode_item_ratings([record(value)])
    assert isinstance(found, ItemRatings | BadRecord)


@given(objects("users", "items", "ratings", "timestamps", "offsets"))
@example({"users": ["u"], "items": ["i"], "ratings": [None], "timestamps": [1], "offsets": [1]})
@example({"users": [], "items": [], "ratings": [], "timestamps": [], "offsets": []})
def test_any_columns_decode_or_yield_a_bad_record(value):
    (found,) = decode_item_ratings([record(json.dumps(value))])
    if isinstance(found, BadRecord):
        assert str(found).startswith(found.field + ": ")
    else:
        assert {len(column) for column in found.as_tuple()} == {len(found)}


def test_records_of_an_earlier_version_hold_one_event():
    assert decode_item_rating(record(OLD)) == of([("u", "i", 1.0, 5, 2)])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"offsets": None}, "users: expected columns of one length, got [2, 2, 2, 2, 0]"),
        ({"items": ["i"]}, "users: expected columns of one length, got [2, 1, 2, 2, 2]"),
        ({"offsets": [1, -1]}, "[1].offset: expected a whole number, 0 to 9223372036854775806, got -1"),
        ({"users": ["u", "x" * 257]}, "[1].user: expected 1 to 256 bytes, got 257"),
        ({"ratings": [1, "2"]}, "[1].rating: expected a finite number, got '2'"),
    ],
)
def test_a_bad_record_names_the_invalid_field(changes, fault):
    good = {
        "users": ["u", "v"],
        "items": ["i", "j"],
        "ratings": [1, 2],
        "timestamps": [1, 2],
        "offsets": [1, 2],
    }
    (found,) = decode_item_ratings([record(json.dumps(good | changes))])
    assert str(found) == fault


def test_a_tombstone_or_a_missing_field_is_bad():
    (found,) = decode_item_ratings([record('{"user": "u", "item": "i", "rating": 1, "timestamp": 5}')])
    assert str(found) == "offset: missing"
    (found,) = decode_item_ratings([record(None)])
    assert found.reason == "tombstone"


def test_one_record_is_judged_as_it_is_among_many():
    (value,) = encode_item_ratings(of([("u", "i", 1.0, 5, 2)]))
    unreadable_name = record(value[:-1] + b', "\xff": 0}')
    assert decode_item_ratings([unreadable_name]) == [decode_item_rating(unreadable_name)]
