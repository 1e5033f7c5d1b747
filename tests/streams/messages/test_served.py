"""Records of ``served``."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import ServedList, ServedRating, cohort_of, decode_served, encode_served
from streams.messages.served import USER_COHORTS
from tests.streams.messages.records import decoded, headers, objects, record

NOW_MS = 1_700_000_000_000
LIST = ServedList(
    user="u",
    partition=1,
    offset=7,
    time=NOW_MS,
    items=("a", "b"),
    new_items=1,
    popularity=12,
    catalogue=30,
    strategy="codes+rerank",
    generation=3,
    cohort="few_ratings",
    generation_hash="0123456789ab",
)
RATING = ServedRating(user="u", partition=1, offset=7, time=NOW_MS, item="a", liked=True)
FIELDS = {*ServedList.__struct_fields__, *ServedRating.__struct_fields__, "kind"}


def served(found, **changes):
    fields = json.loads(encode_served(found)) | changes
    return record(
        json.dumps({name: value for name, value in fields.items() if value is not ...}), timestamp_ms=NOW_MS
    )


@pytest.mark.parametrize("found", [LIST, RATING])
def test_decode_returns_what_was_encoded(found):
    assert decode_served(served(found)) == found


def test_a_record_that_the_fast_decoder_refuses_is_read_all_the_same():
    long = "i" * 256
    assert decode_served(served(RATING, item=long)) == msgspec.structs.replace(RATING, item=long)
    assert decode_served(served(LIST, items=[1, 2.0])) == msgspec.structs.replace(LIST, items=("1", "2"))


def test_a_list_of_an_earlier_worker_has_no_hash_and_digits_are_lower_case():
    assert decode_served(served(LIST, generation_hash=...)).generation_hash == ""
    assert decode_served(served(LIST, generation_hash=None)).generation_hash == ""
    assert decode_served(served(LIST, generation_hash="00FF")).generation_hash == "00ff"


@pytest.mark.parametrize(
    ("found", "changes", "message"),
    [
        (LIST, {"kind": ...}, "kind: missing"),
        (LIST, {"kind": "page"}, "kind: expected one of list, rating, got 'page'"),
        (LIST, {"items": ["a", "a"]}, "items: expected each item once, got an item twice"),
        (LIST, {"new_items": 3}, "new_items: expected at most 2, got 3"),
        (LIST, {"strategy": "guess"}, "strategy: expected one of codes.rerank, .*, got 'guess'"),
        (LIST, {"cohort": "u17"}, "cohort: expected one of no_ratings, .*, got 'u17'"),
        (LIST, {"arm": "u17"}, "arm: expected one of default, got 'u17'"),
        (LIST, {"generation_hash": "u17"}, "generation_hash: expected hexadecimal digits, got 'u17'"),
        (LIST, {"generation_hash": "0" * 66}, "generation_hash: expected 0 to 64 digits"),
        (LIST, {"offset": 2**63}, "offset: expected a whole number"),
        (RATING, {"item": ...}, "item: missing"),
        (RATING, {"time": 5}, "time: expected a whole number"),
        (RATING, {"time": NOW_MS + 3_600_001}, "time: expected at most an hour after"),
    ],
)
def test_a_bad_record_names_the_field(found, changes, message):
    with pytest.raises(BadRecord, match=message):
        decode_served(served(found, **changes))


def test_cohorts_go_by_the_number_of_ratings():
    found = [cohort_of(n) for n in (0, 1, 4, 5, 19, 20, 10_000)]
    assert found == [USER_COHORTS[at] for at in (0, 1, 1, 2, 2, 3, 3)]


@given(st.none() | st.binary(max_size=20) | objects(*sorted(FIELDS)), headers)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_served, record(value, headers=headers))).encode()
