"""Records of ``models``."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import ModelPointer, decode_model_pointer, encode_model_pointer
from tests.streams.messages.records import decoded, headers, objects, record

POINTER = ModelPointer(
    generation=3,
    location="gen-3",
    sha256="ab" * 32,
    watermarks={"0": 7},
    trained_at=9,
    metrics={"ndcg@20": 0.3},
)


def test_decode_returns_the_pointer_that_was_encoded():
    assert decode_model_pointer(record(encode_model_pointer(POINTER))) == POINTER


def test_an_invalid_watermark_is_a_bad_record_that_names_its_partition():
    with pytest.raises(BadRecord, match=r"watermarks\.0: expected a whole number"):
        decode_model_pointer(
            record(
                '{"generation": 1, "location": "x", "sha256": "00", "watermarks": {"0": -1}, "trained_at": 1}'
            )
        )


@given(
    st.binary(max_size=20) | objects("generation", "location", "sha256", "watermarks", "trained_at"), headers
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_model_pointer, record(value, headers=headers))).encode()
