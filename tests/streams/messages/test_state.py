"""Item codes and pointers to models."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import (
    ItemCode,
    ModelPointer,
    decode_item_code,
    decode_model_pointer,
    encode_item_code,
    encode_model_pointer,
)
from tests.streams.messages.records import decoded, headers, objects, record

CODE = ItemCode(generation=3, code="00ff", ratings=5, positives=2, vector="7f81")
POINTER = ModelPointer(
    generation=3,
    location="gen-3",
    sha256="ab" * 32,
    watermarks={"0": 7},
    trained_at=9,
    metrics={"ndcg@20": 0.3},
)


def test_decode_returns_what_encode_was_given():
    assert decode_item_code(record(encode_item_code(CODE), key=b"i")) == ("i", CODE)
    assert decode_model_pointer(record(encode_model_pointer(POINTER))) == POINTER


def test_an_empty_item_code_removes_the_item():
    assert decode_item_code(record(None, key=b"i")) == ("i", None)


def test_a_bad_one_names_the_field():
    with pytest.raises(BadRecord, match="code: expected hexadecimal digits, got 'xy'"):
        decode_item_code(record('{"generation": 1, "code": "xy", "ratings": 1, "positives": 1}'))
    for code in ("", "00 00 ", "0" * 66):
        with pytest.raises(BadRecord, match="code: expected 2 to 64 digits in pairs"):
            decode_item_code(record(encode_item_code(msgspec.structs.replace(CODE, code=code)), key=b"i"))
    with pytest.raises(BadRecord, match=r"watermarks\.0: expected a whole number"):
        decode_model_pointer(
            record(
                '{"generation": 1, "location": "x", "sha256": "00", "watermarks": {"0": -1}, "trained_at": 1}'
            )
        )


@given(
    st.binary(max_size=20)
    | objects("generation", "code", "ratings", "positives", "location", "sha256", "watermarks", "trained_at"),
    headers,
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_item_code, record(value, headers=headers))).encode()
    str(decoded(decode_model_pointer, record(value, headers=headers))).encode()
