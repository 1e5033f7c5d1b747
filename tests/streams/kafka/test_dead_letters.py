"""A dead letter keeps every byte of the record and adds its position and the reason."""

import hashlib

import msgspec

from streams.errors import BadRecord
from streams.kafka.dead_letters import dead_letter, dead_letter_without_value
from streams.kafka.records import Output, Record

RECORD = Record("t-ratings", 3, 1042, b"\xffkey", b"\x00value", 1_700_000_000_000, [("ce_id", b"7")])


def test_a_dead_letter_is_the_record_plus_headers_with_position_and_reason():
    letter = dead_letter(RECORD, BadRecord("rating", "missing"), group="worker")
    assert msgspec.structs.replace(letter, if_refused=None) == Output(
        topic="t-ratings-dlt",
        key=b"\xffkey",
        value=b"\x00value",
        partition=3,
        headers=[
            ("ce_id", b"7"),
            ("kafka_dlt-original-topic", b"t-ratings"),
            ("kafka_dlt-original-partition", b"\x00\x00\x00\x03"),
            ("kafka_dlt-original-offset", b"\x00\x00\x00\x00\x00\x00\x04\x12"),
            ("kafka_dlt-original-timestamp", b"\x00\x00\x01\x8b\xcf\xe5\x68\x00"),
            ("kafka_dlt-original-consumer-group", b"worker"),
            ("kafka_dlt-exception-fqcn", b"streams.errors.BadRecord"),
            ("kafka_dlt-exception-message", b"t-ratings[3]@1042: rating: missing"),
        ],
    )


def test_a_long_reason_is_truncated():
    letter = dead_letter(RECORD, BadRecord("rating", "x" * 5000), group="worker")
    assert len(letter.headers[-1][1]) == 1000


def test_a_dead_letter_that_is_too_large_has_size_and_hash_instead_of_the_value():
    reason = BadRecord("rating", "missing")
    letter = dead_letter(RECORD, reason, group="worker")
    small = letter.if_refused()
    assert small == dead_letter_without_value(RECORD, reason, group="worker")
    assert (small.topic, small.partition, small.key, small.value) == ("t-ratings-dlt", 3, b"\xffkey", None)
    assert small.headers == [
        ("dch-value-bytes", b"6"),
        ("dch-value-sha256", hashlib.sha256(b"\x00value").hexdigest().encode()),
        *letter.headers[1:],  # without the headers of the record, which may be what is too large
    ]
    assert small.if_refused is None


def test_a_dead_letter_without_value_leaves_out_a_long_key_too():
    record = msgspec.structs.replace(RECORD, key=b"k" * 1001, value=None)
    small = dead_letter_without_value(record, BadRecord("key", "long"), group="worker")
    assert small.key is None
    added = dict(small.headers)
    assert added["dch-key-bytes"] == b"1001"
    assert added["dch-key-sha256"] == hashlib.sha256(b"k" * 1001).hexdigest().encode()
    assert added["dch-value-bytes"] == b"0"
