"""Dead letters: records that can never be processed, kept unchanged with the reason and their position.

The headers are those of Spring for Apache Kafka, so that its tools can read them.
"""

import struct

from streams.errors import BadRecord
from streams.kafka.records import Output, Record
from streams.topics import DEAD_LETTER_SUFFIX

_int32 = struct.Struct(">i").pack
_int64 = struct.Struct(">q").pack
MAX_MESSAGE_BYTES = 1000


def dead_letter(record: Record, reason: BadRecord, *, group: str) -> Output:
    """Return the dead letter of a record: same partition, key, value and headers, plus the reason."""
    message = f"{record.position}: {reason}".encode(errors="replace")[:MAX_MESSAGE_BYTES]
    details = [
        ("kafka_dlt-original-topic", record.topic.encode()),
        ("kafka_dlt-original-partition", _int32(record.partition)),
        ("kafka_dlt-original-offset", _int64(record.offset)),
        ("kafka_dlt-original-timestamp", _int64(record.timestamp_ms)),
        ("kafka_dlt-original-consumer-group", group.encode()),
        ("kafka_dlt-exception-fqcn", f"{type(reason).__module__}.{type(reason).__qualname__}".encode()),
        ("kafka_dlt-exception-message", message),
    ]
    return Output(
        topic=record.topic + DEAD_LETTER_SUFFIX,
        key=record.key,
        value=record.value,
        partition=record.partition,
        headers=[*record.headers, *details],
    )
