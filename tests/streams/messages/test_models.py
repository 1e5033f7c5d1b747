"""Records of ``models``."""

import json

import msgspec
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


def test_a_rollback_is_told_from_a_fit_and_a_fit_says_nothing_of_it():
    assert b"roll" not in encode_model_pointer(POINTER)
    assert b"counted" not in encode_model_pointer(POINTER)
    found = msgspec.structs.replace(
        POINTER, rolled_back_from=2, rolled_back_to=1, counted_from={"0": 9, "3": 1}
    )
    assert decode_model_pointer(record(encode_model_pointer(found))) == found


def test_an_invalid_watermark_is_a_bad_record_that_names_its_partition():
    with pytest.raises(BadRecord, match=r"watermarks\.0: expected a whole number"):
        decode_model_pointer(
            record(
                '{"generation": 1, "location": "x", "sha256": "00", "watermarks": {"0": -1}, "trained_at": 1}'
            )
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generation", 2**63 - 1),
        ("generation", -1),
        ("trained_at", 1_700_000_000_000 + 24 * 3600 * 1000 + 1),
        ("watermarks", {"9" * 5000: 1}),
        ("watermarks", {"10000": 1}),
        ("watermarks", {"0": 2**63 - 1}),
        ("counted_from", {"x": 1}),
        ("rolled_back_from", -1),
        ("rolled_back_to", "7"),
        ("metrics", {"ndcg@20": 10**400}),
        *(
            ("location", bad)
            for bad in ("", "http:", "s3:", "c:", "simplecache::file:///x", "a\0b", "x" * 5000)
        ),
    ],
)
def test_a_number_out_of_bounds_or_a_malformed_location_is_a_bad_record(field, value):
    changed = json.loads(encode_model_pointer(POINTER)) | {field: value}
    with pytest.raises(BadRecord) as raised:
        decode_model_pointer(record(json.dumps(changed), timestamp_ms=1_700_000_000_000))
    assert raised.value.field.startswith(field)


@given(
    st.binary(max_size=20)
    | objects("generation", "location", "sha256", "watermarks", "trained_at", "rolled_back_to"),
    headers,
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_model_pointer, record(value, headers=headers))).encode()
