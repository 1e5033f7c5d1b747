"""Dead letters: records that can never be processed, kept unchanged with the reason and their position.

The headers are those of Spring for Apache Kafka, so that its tools can read them. A dead letter that is too
large for its topic is written without the value; two more headers then tell the size and the hash of the
value.
"""

import hashlib
import struct
from functools import partial

from msgspec.structs import replace

from streams.errors import BadRecord
from streams.kafka.records import Headers, Output, Record
from streams.topics import DEAD_LETTER_SUFFIX

_int32 = struct.Struct(">i").pack
_int64 = struct.Struct(">q").pack
MAX_MESSAGE_BYTES = 1000
MAX_KEY_BYTES = 1000
"""A longer key is left out together with the value. No id is that long."""


def dead_letter(record: Record, reason: BadRecord, *, group: str) -> Output:
    """Return the dead letter of a record: same partition, key, value and headers, plus the reason."""
    return Output(
        topic=record.topic + DEAD_LETTER_SUFFIX,
        key=record.key,
        value=record.value,
        partition=record.partition,
        headers=[*record.headers, *_details(record, reason, group)],
        if_refused=partial(dead_letter_without_value, record, reason, group=group),
    )


def dead_letter_without_value(record: Record, reason: BadRecord, *, group: str) -> Output:
    """Return the dead letter of a record that is too large: its position, the reason, what was left out."""
    return replace(dead_letter(without_value(record), reason, group=group), if_refused=None)


def without_value(record: Record) -> Record:
    """Return a record with sizes and hashes, in headers, of what is left out.

    Left out are the value, the record's own headers, and a key of more than 1000 bytes.
    """
    is_key_long = len(record.key or b"") > MAX_KEY_BYTES
    left_out = [("value", record.value or b"")] + ([("key", record.key or b"")] if is_key_long else [])
    summary = [pair for name, found in left_out for pair in _summary(name, found)]
    return replace(record, key=None if is_key_long else record.key, value=None, headers=summary)


def _details(record: Record, reason: BadRecord, group: str) -> Headers:
    message = f"{record.position}: {reason}".encode(errors="replace")[:MAX_MESSAGE_BYTES]
    return [
        ("kafka_dlt-original-topic", record.topic.encode()),
        ("kafka_dlt-original-partition", _int32(record.partition)),
        ("kafka_dlt-original-offset", _int64(record.offset)),
        ("kafka_dlt-original-timestamp", _int64(record.timestamp_ms)),
        ("kafka_dlt-original-consumer-group", group.encode()),
        ("kafka_dlt-exception-fqcn", f"{type(reason).__module__}.{type(reason).__qualname__}".encode()),
        ("kafka_dlt-exception-message", message),
    ]


def _summary(name: str, left_out: bytes) -> Headers:
    """Return the size and the hash of what a dead letter leaves out, as text."""
    return [
        (f"dch-{name}-bytes", str(len(left_out)).encode()),
        (f"dch-{name}-sha256", hashlib.sha256(left_out).hexdigest().encode()),
    ]
