"""Records of ``ratings``: every allowed form decodes to the same event; other bytes are a BadRecord."""

import base64
import json
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import RatingEvent, decode_rating, decode_ratings, decode_user, encode_rating
from streams.messages.times import DAY_MS
from tests.streams.messages.records import decoded, headers, objects, record

EVENT = RatingEvent("u1", "i9", 4.5, 1_700_000_000_000)
PLAIN = b'{"user": "u1", "item": "i9", "rating": 4.5, "timestamp": 1700000000000}'

events = st.builds(
    RatingEvent,
    user=st.sampled_from(["u", "ü" * 128, "a" * 256, "1"]) | st.text("ab", min_size=1, max_size=3),
    item=st.text("ab€", min_size=1, max_size=3),
    rating=st.none() | st.sampled_from([0.5, -1.0, 5.0]) | st.floats(-3e38, 3e38),
    timestamp=st.integers(631_152_000_000, 4_102_444_799_999),
)


@given(events)
def test_decode_returns_the_event_that_was_encoded(event):
    assert decode_rating(record(encode_rating(event))) == event


@given(
    st.binary(max_size=40) | objects("user", "item", "rating", "timestamp", "data", "specversion"), headers
)
@example(b"[" * 100_000, [])
@example(b'{"user": "u", "item": "i", "rating": ' + b"9" * 5000 + b"}", [])
@example(b'{"user": ' + b"-9" * 5000 + b', "item": "i", "rating": 1}', [])
@example(b'{"user": "\\ud800", "item": "i", "rating": NaN}', [])
@example(b'{"\\ud800": NaN}', [])
@example(b"\0\0\0\0", [])
@example(b"", [])
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    if isinstance(value, dict):
        value = json.dumps(value).encode()
    event = decoded(decode_rating, record(value, headers=headers))
    if isinstance(event, BadRecord):
        assert str(event).startswith(event.field + ": ")
        assert len(str(event).encode()) < 500
    else:
        assert 1 <= len(event.user.encode()) <= 256
        assert event.rating is None or math.isfinite(event.rating)
        encode_rating(event)


@given(st.lists(st.sampled_from([PLAIN, b"no", None, b'{"user":7,"item":"i","rating":null}']), max_size=8))
def test_a_batch_decodes_like_single_records(values):
    alone = [decoded(decode_rating, record(value)) for value in values]
    many = decode_ratings([record(value) for value in values])
    assert [str(one) for one in many] == [str(one) for one in alone]


def test_no_record_takes_the_event_of_another_one_in_its_batch():
    """A batch is parsed as lines, so a value that is no line must not shift the others."""
    two = PLAIN + b"\n" + PLAIN.replace(b"u1", b"u2")
    for values in ([two, b""], [b"", two], [two, PLAIN], [PLAIN, b"\n"], [PLAIN + b"\n", b""], [b"", b""]):
        alone = [decoded(decode_rating, record(value)) for value in values]
        assert [str(one) for one in decode_ratings([record(value) for value in values])] == list(
            map(str, alone)
        )
    pretty = PLAIN.replace(b", ", b",\n")
    assert decode_ratings([record(pretty), record(PLAIN)]) == [EVENT, EVENT]


def test_an_event_that_is_ahead_of_its_record_is_found_in_a_batch():
    ahead = PLAIN.replace(b"1700000000000", b"1700000000001")
    a_day_before = {"timestamp_ms": 1_700_000_000_000 - DAY_MS}
    found = decode_ratings([record(value, **a_day_before) for value in (PLAIN, ahead, PLAIN)])
    assert [type(one) for one in found] == [RatingEvent, BadRecord, RatingEvent]


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (PLAIN, []),
        (b"\0\0\0\0\x07" + PLAIN, []),
        (PLAIN[:-1] + b', "channel": "web"}', []),
        (
            PLAIN,
            [("ce_specversion", b"1.0"), ("ce_type", b"rated"), ("ce_source", b"/shop"), ("ce_id", b"1")],
        ),
        (b'{"user": "u1", "item": "i9", "rating": 4.5}', [("ce_time", b"2023-11-14T22:13:20Z")]),
        (
            b'{"specversion": "1.0", "type": "rated", "source": "/shop", "id": "1", "data": ' + PLAIN + b"}",
            [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        ),
        (
            b'{"specversion": "1.0", "data_base64": "' + base64.b64encode(PLAIN) + b'"}',
            [("content-type", b"application/cloudevents+json")],
        ),
        (
            b'{"specversion": "1.0", "time": "2023-11-14T23:13:20+01:00", '
            b'"data": {"user": "u1", "item": "i9", "rating": 4.5}}',
            [("content-type", b"application/cloudevents+json")],
        ),
    ],
)
def test_every_envelope_gives_the_same_event(value, headers):
    assert decode_rating(record(value, headers=headers)) == EVENT


def test_an_event_without_timestamp_gets_the_time_of_its_record():
    event = decode_rating(record('{"user": 7, "item": 8, "rating": null}', timestamp_ms=123))
    assert event == RatingEvent("7", "8", None, 123)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "value: expected JSON, got a tombstone"),
        ("", "value: expected JSON, got b'' (Input data was truncated)"),
        (
            b"\0\0\0\0\x07\x04u1\x04i9",
            "value: framed with schema id 7, and framed values must be JSON, not Avro or Protobuf; "
            "expected JSON, got b'\\x04u1\\x04i9' (JSON is malformed: invalid character (byte 0))",
        ),
        ('{"user": {}, "item": "i", "rating": 1}', "user: expected a string or a number, got an object"),
        ('{"user": null, "item": "i", "rating": 1}', "user: expected a string or a number, got null"),
        ("[1]", "value: expected a JSON object, got an array"),
        ('{"item": "i", "rating": 1}', "user: missing"),
        ('{"user": "", "item": "i", "rating": 1}', "user: expected 1 to 256 bytes, got 0"),
        ('{"user": "%s", "item": "i", "rating": 1}' % ("ü" * 129), "user: expected 1 to 256 bytes, got 258"),
        ('{"user": true, "item": "i", "rating": 1}', "user: expected a string or a number, got true"),
        ('{"user": "u", "item": ["i"], "rating": 1}', "item: expected a string or a number, got an array"),
        ('{"user": "u", "item": "i"}', "rating: missing"),
        (
            '{"user": "u", "item": "i", "rating": NaN}',
            "rating: expected a finite number, got nan or infinity",
        ),
        (
            '{"user": "u", "item": "i", "rating": 1e999}',
            "rating: expected a finite number, got nan or infinity",
        ),
        ('{"user": "u", "item": "i", "rating": 1e300}', "rating: expected a finite number, got 1e+300"),
        ('{"user": "u", "item": "i", "rating": "5"}', "rating: expected a finite number, got '5'"),
        (
            '{"user": "u", "item": "i", "rating": 1, "timestamp": "now"}',
            "timestamp: expected milliseconds since 1970 (or seconds, us, ns, or ISO text), "
            "from 1990-01-01 to 2100-01-01T00:00:00+00:00 (a day after the time of the record), got 'now'",
        ),
    ],
)
def test_a_bad_record_names_the_invalid_field_and_its_value(value, message):
    with pytest.raises(BadRecord) as raised:
        decode_rating(record(value))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("user", "id_"), [("1", "1"), ("1.0", "1"), ('"1"', "1"), ("9007199254740991.0", "9007199254740991")]
)
def test_a_number_is_the_same_user_however_it_is_written(user, id_):
    assert decode_rating(record(f'{{"user": {user}, "item": "i", "rating": 1}}')).user == id_


@pytest.mark.parametrize(
    ("user", "found"), [("1e17", r"1e\+17"), ("9007199254740993.0", "9007199254740992.0")]
)
def test_a_float_that_may_have_lost_digits_is_no_id(user, found):
    with pytest.raises(BadRecord, match=r"user: expected a number below 2\^53, or a string, got " + found):
        decode_rating(record(f'{{"user": {user}, "item": "i", "rating": 1}}'))


NOW = 1_700_000_000_000
DAY = 24 * 3600 * 1000
UNTIMED = '{"user": "u1", "item": "i9", "rating": 4.5, "timestamp": %s}'


@pytest.mark.parametrize(
    "time",
    [
        "1700000000000",
        "1700000000",
        "1.7e9",
        "1700000000000000",
        "1700000000000000000",
        '"1700000000"',
        '"2023-11-14T22:13:20Z"',
        '"2023-11-14T23:13:20+01:00"',
    ],
)
def test_the_unit_of_a_time_is_found_in_each_record(time):
    assert decode_rating(record(UNTIMED % time, timestamp_ms=NOW)) == EVENT


@pytest.mark.parametrize("time", ["null", "0", "0.0", '""'])
def test_null_and_0_are_no_time_so_that_of_the_record_counts(time):
    assert decode_rating(record(UNTIMED % time, timestamp_ms=NOW + 5)).timestamp == NOW + 5


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_time_may_be_a_day_after_its_record_and_no_later(unit):
    last = (NOW + DAY) // unit
    assert decode_rating(record(UNTIMED % last, timestamp_ms=NOW)).timestamp == NOW + DAY
    found = decoded(decode_rating, record(UNTIMED % (last + 1), timestamp_ms=NOW))
    assert "expected milliseconds since 1970 (or seconds" in str(found)
    assert "2023-11-15T22:13:20+00:00 (a day after the time of the record)" in str(found)


@pytest.mark.parametrize(
    "time",
    ["1", "-5", "631151999", "253402300799000", "1e300", "9" * 400, "true", "[]", '"x"', "{}", "false"],
)
def test_other_times_are_bad_records(time):
    found = decoded(decode_rating, record(UNTIMED % time, timestamp_ms=NOW))
    assert isinstance(found, BadRecord), found
    assert str(found).startswith("timestamp: expected milliseconds")
    assert found.reason == "time"


@pytest.mark.parametrize("time", ["9999-12-31T00:00:00Z", "1969-01-01T00:00:00Z", "2023-11-15T22:13:21Z"])
def test_the_time_of_a_cloud_event_is_judged_too(time):
    value = '{"user": "u1", "item": "i9", "rating": 4.5}'
    found = decoded(decode_rating, record(value, headers=[("ce_time", time.encode())], timestamp_ms=NOW))
    assert isinstance(found, BadRecord)


def test_a_record_whose_own_time_is_after_2099_is_bad():
    for decode, value in (
        (decode_rating, UNTIMED % NOW),
        (decode_rating, UNTIMED % "null"),
        (decode_user, None),
    ):
        with pytest.raises(BadRecord, match=r"time of the record: .* microseconds"):
            decode(record(value, timestamp_ms=NOW * 1000))


def test_an_invalid_cloud_event_names_its_attribute():
    structured = [("content-type", b"application/cloudevents+json")]
    for value, hdrs, message in [
        (
            b'{"user": "u", "item": "i", "rating": 1}',
            [("ce_time", b"soon")],
            "header ce_time: expected an RFC 3339",
        ),
        (b'{"data": {}}', structured, "specversion: expected 1.0, got null"),
        (b'{"specversion": "1.0"}', structured, "data: expected a JSON object, got null"),
        (b'{"specversion": "1.0", "data_base64": "?"}', structured, "data_base64: expected base64, got '?'"),
    ]:
        with pytest.raises(BadRecord, match=message):
            decode_rating(record(value, headers=hdrs))


def test_the_fast_and_the_slow_decoder_agree():
    from streams.messages.ratings import _decode_any

    for value in (PLAIN, b'{"timestamp": 1700000000005, "rating": null, "item": "i", "user": "u", "x": {}}'):
        assert _decode_any(record(value)) == msgspec.json.decode(value, type=RatingEvent)
