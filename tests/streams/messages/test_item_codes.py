"""Records of ``item-codes``."""

import json

import msgspec
import pytest
from hypothesis import given
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


@given(
    st.binary(max_size=20)
    | objects("generation", "code", "ratings", "positives", "vector", "generation_hash"),
    headers,
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_item_code, record(value, headers=headers))).encode()
