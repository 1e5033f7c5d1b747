"""A dead letter keeps every byte of the record and adds its position and the reason."""

from streams.errors import BadRecord
from streams.kafka.dead_letters import dead_letter
from streams.kafka.records import Output, Record

RECORD = Record("t-ratings", 3, 1042, b"\xffkey", b"\x00value", 1_700_000_000_000, [("ce_id", b"7")])


def test_a_dead_letter_is_the_record_plus_headers_with_position_and_reason():
    assert dead_letter(RECORD, BadRecord("rating", "missing"), group="worker") == Output(
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
