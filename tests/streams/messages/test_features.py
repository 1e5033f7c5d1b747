"""Records of ``users`` and ``items``: the key is the id, an empty value is a tombstone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch import Ratings
from dch.data.features import tokens
from dch.errors import RatingsError
from streams.errors import BadRecord
from streams.messages import FeatureRecord, decode_item, decode_user, encode_features
from tests.streams.messages.records import decoded, headers, objects, record


def test_decode_returns_the_features_that_were_encoded():
    features = {"genres": ["Drama", "War"], "age": 25, "available": False}
    assert decode_item(record(encode_features(features), key=b"i9")) == FeatureRecord("i9", features)


@given(
    st.dictionaries(
        st.sampled_from(["age", "title", "x"]),
        st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=6),
    )
)
def test_a_record_gives_the_tokens_of_the_features_that_were_encoded(features):
    assert tokens(decode_item(record(encode_features(features), key=b"i9")).features) == tokens(features)


@pytest.mark.parametrize("value", [None, b""])
def test_an_empty_value_is_a_tombstone(value):
    assert decode_user(record(value, key=b"u1")) == FeatureRecord("u1", None)


def test_an_id_in_the_value_is_not_a_feature_and_must_equal_the_key():
    assert decode_item(record('{"item": 9, "year": 1999}', key=b"9")).features == {"year": 1999}
    with pytest.raises(BadRecord, match="item: expected the key '8', got 9"):
        decode_item(record('{"item": 9}', key=b"8"))


@pytest.mark.parametrize("value", ["perhaps", [], {"from": 3}, "nan", "0x1"])
def test_an_item_with_an_availability_that_is_not_understood_is_a_bad_record(value):
    with pytest.raises(BadRecord, match="available: expected true or false, or pieces in stock, got"):
        decode_item(record(json.dumps({"available": value}), key=b"i"))
    assert decode_user(record(json.dumps({"available": value}), key=b"u")).features == {"available": value}


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6))
def test_files_and_records_agree_on_which_availability_is_understood(value):
    item = {"available": value}
    try:
        decode_item(record(encode_features(item), key=b"i"))
        is_read = True
    except BadRecord:
        is_read = False
    try:
        Ratings.from_events(["u"], ["i"], [1], item_features={"i": item})
    except RatingsError:
        assert not is_read
    else:
        assert is_read


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "key: missing"),
        (b"", "key: expected 1 to 256 bytes, got 0"),
        (b"\xff", "key: expected an id as UTF-8 text, .*, got"),
    ],
)
def test_an_invalid_key_is_a_bad_record(key, message):
    with pytest.raises(BadRecord, match=message):
        decode_user(record("{}", key=key))


@given(st.none() | st.binary(max_size=5), st.binary(max_size=20) | objects("user", "age"), headers)
def test_any_bytes_decode_or_raise_a_bad_record(key, value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_user, record(value, key=key, headers=headers))).encode()


def nested(depth, kind):
    """Return JSON of an object with this many levels of lists or objects, itself included."""
    opened, closed = {"list": ("[", "]"), "object": ('{"a":', "}")}[kind]
    return '{"a":' + opened * (depth - 1) + "1" + closed * (depth - 1) + "}"


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", [33, 487, 600, 900, 100_000])
def test_features_that_are_nested_too_deeply_are_a_bad_record(depth, kind):
    """A fit could not be sent them: pickle stops at some 490 levels, long before the parser of JSON does."""
    for decode in (decode_user, decode_item):
        found = decoded(decode, record(nested(depth, kind)))
        assert (found.field, found.reason) == ("value", "json")


@pytest.mark.parametrize("kind", ["list", "object"])
def test_features_may_be_nested_and_framed_in_a_cloud_event(kind):
    cloud = [("content-type", b"application/cloudevents+json")]
    for depth in (1, 2, 31, 32):
        assert decode_user(record(value := nested(depth, kind))).features == json.loads(value)
    event = '{"specversion": "1.0", "data": %s}'
    assert decode_user(record(event % nested(31, kind), headers=cloud)).id == "u1"
    assert decoded(decode_user, record(event % nested(32, kind), headers=cloud)).field == "value"
    wide = json.dumps({"a": [{"b": [1]}] * 1000})
    assert decode_user(record(wide)).features == json.loads(wide)
