"""Keys of ``users`` and ``items``: what the usual serializers write is unwrapped, all else is a BadRecord."""

import json
import struct
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import decode_item, decode_user
from streams.messages.keys import encode_key, key_ids, the_id
from streams.settings import KeyForm
from tests.streams.messages.records import decoded, record


def long(number):
    return struct.pack(">q", number)


def framed(payload, schema_id=5):
    return b"\0" + struct.pack(">i", schema_id) + payload


@pytest.mark.parametrize(
    ("key", "id_"),
    [
        (b"u1", "u1"),
        (b"77", "77"),
        (b"user1234", "user1234"),
        ("ü €".encode(), "ü €"),
        (b'"u1"', "u1"),
        (b'"\\u00fc"', "ü"),
        (b'"', '"'),
        (b'"5" nails', '"5" nails'),
        (b'{"user": 7}', "7"),
        (long(7), "7"),
        (long(77), "77"),
        (long(-1), "-1"),
        (long(20_000_000), "20000000"),
        (long(2**53), str(2**53)),
        (struct.pack(">i", 7), "7"),
        (framed(b"\x0cuser42"), "user42"),
        (framed(b"\x02u"), "u"),
        (framed(b"\x0e"), "7"),
        (framed(b'"u1"'), "u1"),
        (framed(b'{"user": "u1"}'), "u1"),
    ],
)
def test_keys_of_the_usual_serializers_are_unwrapped(key, id_):
    assert the_id(key, "user") == id_
    assert decode_user(record(None, key=key)).id == id_
    assert decode_user(record("{}", key=key)).id == id_


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\0",
        b"a\nb",
        b'""',
        b"[1]",
        b'{"other": 1}',
        b"\xff",
        b"\0" * 5,
        b"\x01" * 16,
        framed(b"u1"),
        b"a" * 257,
    ],
)
def test_a_key_that_cannot_be_read_is_a_bad_record(key):
    with pytest.raises(BadRecord, match="key: expected"):
        decode_user(record(None, key=key))


def test_a_key_with_two_readings_is_a_bad_record_unless_the_value_names_the_id():
    key = framed(b"\x04i2")  # eight bytes: an int64, too
    number = str(int.from_bytes(key, "big"))
    with pytest.raises(BadRecord, match=f"key: can be read as '{number}' or 'i2'; write the id as text"):
        decode_item(record(None, key=key))
    for id_ in ("i2", number):
        assert decode_item(record(json.dumps({"item": id_}), key=key)).id == id_


def test_an_id_in_the_value_counts_where_the_key_cannot_be_read_and_is_compared_otherwise():
    assert decode_item(record('{"item": "i1"}', key=b"\xff")).id == "i1"
    assert decode_item(record('{"item": 7}', key=long(7))).id == "7"
    with pytest.raises(BadRecord, match="item: expected the key 'i1', got 'i2'"):
        decode_item(record('{"item": "i2"}', key=b'"i1"'))


FORMS = st.sampled_from(get_args(KeyForm))
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)


@given(
    st.text(min_size=1, max_size=20)
    | st.sampled_from(
        ['"a"', "\0", '""', "{}", "[1]", '{"": 1}', '"', "abcd", "abcdef", "12345678", "-0", "007"]
    )
    | (INT32 | INT64 | st.integers()).map(str),
    FORMS,
)
def test_a_key_that_we_encode_is_read_as_the_same_id(id_, form):
    assert the_id(encode_key(id_, form), "item", form) == id_


@pytest.mark.parametrize(("form", "code", "numbers"), [("int32", ">i", INT32), ("int64", ">q", INT64)])
def test_every_integer_is_read_as_itself_where_the_keys_are_said_to_be_integers(form, code, numbers):
    printable = struct.unpack(code, b"abcdefgh"[: struct.calcsize(code)])[0]

    @given(numbers)
    @example(printable)
    def each(number):
        key, id_ = struct.pack(code, number), str(number)
        assert decode_user(record(None, key=key), form).id == id_
        assert decode_user(record('{"age": 25}', key=key), form).id == id_
        assert encode_key(id_, form) == key

    each()


@given(INT32)
@example(538_976_288)
@example(-191_905_857)
@example(1_633_837_924)
def test_by_default_only_large_integers_are_taken_for_text(number):
    found = decoded(the_id, struct.pack(">i", number), "user")
    assert found == str(number) or number >= 538_976_288 or number < -191_905_856


def test_a_short_text_id_is_text_by_default_unless_the_value_names_the_integer():
    key, number = b"abcd", 1_633_837_924
    assert decode_user(record(None, key=key)).id == "abcd"
    assert decode_user(record('{"user": "abcd"}', key=key)).id == "abcd"
    assert decode_user(record(json.dumps({"user": number}), key=key)).id == str(number)
    with pytest.raises(BadRecord, match="user: expected the key '1633837924', got 'abcd'"):
        decode_user(record('{"user": "abcd"}', key=key), "int32")


def test_no_key_is_an_integer_where_all_are_text():
    assert the_id(b"abcd", "user", "text") == "abcd"
    assert the_id(framed(b"\x04i2"), "user", "text") == "i2"
    with pytest.raises(BadRecord, match="key: expected"):
        the_id(long(7), "user", "text")


@given(st.binary(max_size=20) | st.binary(max_size=12).map(framed))
def test_any_key_is_an_id_or_a_bad_record(key):
    found = decoded(the_id, key, "user")
    assert isinstance(found, BadRecord) or 1 <= len(found.encode()) <= 256
    assert all(1 <= len(id_.encode()) <= 256 for id_ in key_ids(key, "user"))
