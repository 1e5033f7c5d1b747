"""Records of ``item-codes``."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import ItemCode, decode_item_code, encode_item_code
from tests.streams.messages.records import decoded, headers, objects, record

CODE = ItemCode(
    generation=3, code="00ff", ratings=5, positives=2, vector="7f81", generation_hash="0123456789ab"
)


def test_decode_returns_the_item_code_that_was_encoded():
    assert decode_item_code(record(encode_item_code(CODE), key=b"i")) == ("i", CODE)


def test_an_empty_value_removes_the_item():
    assert decode_item_code(record(None, key=b"i")) == ("i", None)


def test_an_invalid_code_is_a_bad_record_that_names_the_field():
    with pytest.raises(BadRecord, match="code: expected hexadecimal digits, got 'xy'"):
        decode_item_code(record('{"generation": 1, "code": "xy", "ratings": 1, "positives": 1}'))
    for code in ("", "00 00 ", "0" * 66):
        with pytest.raises(BadRecord, match="code: expected 2 to 64 digits in pairs"):
            decode_item_code(record(encode_item_code(msgspec.structs.replace(CODE, code=code)), key=b"i"))


def test_a_code_of_an_earlier_version_has_no_hash():
    _, code = decode_item_code(record('{"generation": 1, "code": "00", "ratings": 1, "positives": 1}'))
    assert code.generation_hash == ""


digits, counts = st.text("0aF ", max_size=6), st.integers(-1, 2**31)


@given(
    st.builds(ItemCode, *[st.integers(-1, 2**31)] * 1, digits, *[st.integers(-1, 2**31)] * 2, digits, digits)
)
@example(CODE)
@example(ItemCode(1, "0" * 66, 1, 1))
@example(ItemCode(1, "0", 1, 1, "0"))
@example(ItemCode(1, "00", 1, 1, "", "AB"))
def test_the_fast_decoder_judges_as_the_slow_one(code):
    found = record(encode_item_code(code), key=b"i")
    framed = record(b"\0\0\0\0\x07" + found.value, key=b"i")  # only the slow decoder opens an envelope
    assert str(decoded(decode_item_code, found)) == str(decoded(decode_item_code, framed))


@given(
    st.binary(max_size=20)
    | objects("generation", "code", "ratings", "positives", "vector", "generation_hash"),
    headers,
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_item_code, record(value, headers=headers))).encode()
