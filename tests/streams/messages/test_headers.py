"""Request and reply headers in the forms of Spring and Faust."""

import pytest
from hypothesis import given

from streams.errors import BadRecord
from streams.messages import correlation_id, decode_reply_address, request_headers
from streams.messages.headers import trace_id
from tests.streams.messages.records import decoded, headers


def test_the_headers_of_a_request_decode_to_its_reply_address():
    sent = request_headers(b"\x00\xff" * 8, "recommendations", 3)
    address = decode_reply_address([*sent, ("traceparent", b"00-1-2-01"), ("other", b"x")])
    assert (address.topic, address.partition) == ("recommendations", 3)
    assert address.headers == [("kafka_correlationId", b"\x00\xff" * 8), ("traceparent", b"00-1-2-01")]
    assert correlation_id(address.headers) == b"\x00\xff" * 8


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        (b"00-4bf92f3577b34da6-00f067aa0ba902b7-01", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_the_trace_id_is_that_of_a_w3c_traceparent(traceparent, expected):
    assert trace_id([("traceparent", traceparent)]) == expected
    assert trace_id([]) is None


def test_the_header_names_of_faust_are_accepted_and_echoed():
    address = decode_reply_address([("Faust-Ag-ReplyTo", b"f-reply"), ("Faust-Ag-CorrelationId", b"9")])
    assert (address.topic, address.partition, address.headers) == (
        "f-reply",
        None,
        [("Faust-Ag-CorrelationId", b"9")],
    )


def test_a_reply_partition_is_a_big_endian_int32():
    assert decode_reply_address([("kafka_replyPartition", b"\0\0\1\0")]).partition == 256


@pytest.mark.parametrize(
    ("name", "value"),
    [("kafka_replyPartition", b"3"), ("kafka_replyPartition", b"\xff" * 4), ("kafka_replyTopic", b"\xff")],
)
def test_an_invalid_header_is_a_bad_record_that_names_it(name, value):
    with pytest.raises(BadRecord, match=f"header {name}: expected"):
        decode_reply_address([(name, value)])


@given(headers)
def test_any_headers_decode_or_raise_a_bad_record(headers):
    found = decoded(decode_reply_address, headers)
    assert not isinstance(found, BadRecord) or found.reason == "header"
