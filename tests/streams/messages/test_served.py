"""Records of ``served``."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import (
    ServedList,
    ServedRating,
    cohort_of,
    decode_kept,
    decode_served,
    encode_kept,
    encode_served,
)
from streams.messages.served import FULL_BYTES, USER_COHORTS
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


LONG = msgspec.structs.replace(LIST, items=tuple(f"{at}{'i' * 250}" for at in range(500)))


def kept(value):
    """Return a record of the changelog."""
    return record(value, timestamp_ms=NOW_MS, topic="observer-changelog")


@pytest.mark.parametrize(
    "found",
    [[], [RATING], [LIST, RATING, LIST], [RATING, LONG, LIST] * 3],
    ids=["none", "one", "few", "many"],
)
def test_what_is_kept_is_read_again_in_order(found):
    written = list(encode_kept(found))
    assert [one for _, value in written for one in decode_kept(kept(value))] == found
    assert all(len(value) < FULL_BYTES + 200_000 for _, value in written)
    assert len(written) == {0: 0, 1: 1, 3: 1, 9: 3 + 1}[len(found)]
    assert all(key.startswith((b"list-1-7", b"rating-1-7")) for key, _ in written)


def test_what_earlier_versions_kept_is_read_and_what_is_not_known_is_left_out():
    assert decode_kept(served(LIST)) == [LIST]
    with pytest.raises(BadRecord, match="strategy"):
        decode_kept(served(LIST, strategy="gone"))
    gone = served(LIST, strategy="gone").value
    for known in (RATING, LONG):
        value = b"[%b,%b,%b]" % (gone, encode_served(known), gone)
        assert decode_kept(kept(value)) == [known]
    with pytest.raises(BadRecord, match="expected an array of JSON"):
        decode_kept(kept(b"[1,"))


@given(st.none() | st.binary(max_size=20) | st.lists(objects(*sorted(FIELDS)), max_size=3))
def test_any_bytes_of_the_changelog_decode_or_raise_a_bad_record(value):
    value = json.dumps(value).encode() if isinstance(value, list) else value
    str(decoded(decode_kept, kept(value))).encode()


def test_cohorts_go_by_the_number_of_ratings():
    found = [cohort_of(n) for n in (0, 1, 4, 5, 19, 20, 10_000)]
    assert found == [USER_COHORTS[at] for at in (0, 1, 1, 2, 2, 3, 3)]


@given(st.none() | st.binary(max_size=20) | objects(*sorted(FIELDS)), headers)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_served, record(value, headers=headers))).encode()
