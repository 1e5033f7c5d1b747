"""Request and reply headers, as Spring's ReplyingKafkaTemplate and Faust send them.

A correlation id is opaque: it is echoed, never parsed.
"""

import re
import struct

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Headers, header
from streams.messages.fields import short_repr

CORRELATION_ID = "kafka_correlationId"
REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
CORRELATION_NAMES = (CORRELATION_ID, "Faust-Ag-CorrelationId")
REPLY_TOPIC_NAMES = (REPLY_TOPIC, "Faust-Ag-ReplyTo")
ECHOED = frozenset((*CORRELATION_NAMES, "traceparent", "tracestate"))
_int32 = struct.Struct(">i")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_TOPIC = re.compile(rb"[A-Za-z0-9._-]{1,249}")  # the names that Kafka allows


class ReplyAddress(msgspec.Struct, frozen=True):
    """The destination and the headers of a reply."""

    topic: str | None
    """None: the default reply topic."""

    partition: int | None
    """None: derived from the key."""

    headers: Headers
    """Correlation id and trace context, echoed unchanged."""


def decode_reply_address(headers: Headers) -> ReplyAddress:
    """Read the destination of a reply from the headers of its request.

    Raises:
        BadRecord: the topic is no name that Kafka allows, or the partition is not an int32.
    """
    return ReplyAddress(_topic(headers), _partition(headers), echoed(headers))


def echoed(headers: Headers) -> Headers:
    """Return the headers to echo in a reply or an error reply."""
    return [pair for pair in headers if pair[0] in ECHOED]


def correlation_id(headers: Headers) -> bytes | None:
    """Return the correlation id, or None."""
    return next((found for name in CORRELATION_NAMES if (found := header(headers, name)) is not None), None)


def trace_id(headers: Headers) -> str | None:
    """Return the trace id of a W3C ``traceparent``, 32 hexadecimal digits, or None."""
    found = _TRACEPARENT.fullmatch(header(headers, "traceparent") or b"")
    return found[1].decode() if found else None


def request_headers(correlation_id: bytes, reply_topic: str, reply_partition: int | None = None) -> Headers:
    """Return the headers of a request that asks for its reply on a topic and, optionally, a partition."""
    headers = [(CORRELATION_ID, correlation_id), (REPLY_TOPIC, reply_topic.encode())]
    if reply_partition is not None:
        headers.append((REPLY_PARTITION, _int32.pack(reply_partition)))
    return headers


def _topic(headers: Headers) -> str | None:
    for name in REPLY_TOPIC_NAMES:
        if found := header(headers, name):
            if not _TOPIC.fullmatch(found):
                fault = f"expected the name of a topic, got {short_repr(found)}"
                raise BadRecord(f"header {name}", fault, reason="header")
            return found.decode()
    return None


def _partition(headers: Headers) -> int | None:
    found = header(headers, REPLY_PARTITION)
    if found is None:
        return None
    if len(found) != _int32.size or found[0] & 0x80:
        raise BadRecord(
            f"header {REPLY_PARTITION}",
            f"expected a non-negative big-endian int32, got {short_repr(found)}",
            reason="header",
        )
    partition: int = _int32.unpack(found)[0]
    return partition
