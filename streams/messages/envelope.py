"""Unwrap the JSON object of a record: plain, in Confluent's framing, or as a CloudEvents 1.0 event.

CloudEvents may be in binary or structured mode. Every topic accepts every envelope.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Headers, Record, header
from streams.messages.fields import Fields, short_repr

FRAME_BYTES = 5  # a zero byte and a 4-byte schema id; JSON never begins with a zero byte
STRUCTURED = b"application/cloudevents+json"
_decode = msgspec.json.Decoder().decode

MAX_DEPTH = 32
"""Levels of lists and objects in a value. Parsers and serializers take some hundreds, each another number
of them, so a deeper value would be good for one role and end another."""

DECODE_ERRORS = (ValueError, RecursionError)
"""The exceptions that msgspec raises on invalid JSON, invalid UTF-8, and excessive nesting."""


def open_record(record: Record) -> tuple[Mapping[str, object], int]:
    """Return the JSON object of a record and its default time, in milliseconds since 1970.

    Raises:
        BadRecord: the record does not hold a JSON object.
    """
    record.require_headers()
    if record.value is None:
        raise BadRecord("value", "expected JSON, got a tombstone", reason="tombstone")
    body = _object(_parse_value(record.value), "value")
    kind = header(record.headers, "content-type") or b""
    if kind[: len(STRUCTURED)].lower() == STRUCTURED:
        return _structured(body, record)
    return body, _binary_time(record.headers, record.timestamp_ms)


def parse_json(data: bytes, field: str, note: str = "") -> object:
    """Parse JSON.

    Args:
        data: the bytes.
        field: the part of the record that they are, for errors.
        note: what to say before what was expected.

    Raises:
        BadRecord: the bytes are not JSON.
    """
    try:
        return _decode(data)
    except DECODE_ERRORS as error:
        if name := _not_finite(data):
            raise BadRecord(name, "expected a finite number, got nan or infinity") from None
        fault = f"{note}expected JSON, got {short_repr(data)} ({_error_text(error)})"
        raise BadRecord(field, fault, reason="json") from None


def _not_finite(data: bytes) -> str | None:
    """Return the name of a field with NaN or infinity: Python writes them, although JSON has neither."""
    try:
        found = json.loads(data)
    except DECODE_ERRORS:
        return None
    fields = found.items() if isinstance(found, dict) else ()
    bad = (name for name, value in fields if isinstance(value, float) and not math.isfinite(value))
    return next((name[:60].encode(errors="replace").decode() for name in bad), None)


def _parse_value(value: bytes) -> object:
    """Parse the JSON of a value, plain or after Confluent's frame."""
    if value[:1] != b"\0":
        return parse_json(value, "value")
    schema = int.from_bytes(value[1:FRAME_BYTES])
    note = f"framed with schema id {schema}, and framed values must be JSON, not Avro or Protobuf; "
    return parse_json(value[FRAME_BYTES:], "value", note)


def _object(found: object, field: str) -> dict[str, object]:
    if not isinstance(found, dict):
        raise BadRecord(field, f"expected a JSON object, got {short_repr(found)}", reason="json")
    if is_deep(found):
        raise BadRecord(field, f"expected at most {MAX_DEPTH} levels of lists and objects", reason="json")
    return found


def is_deep(found: object) -> bool:
    """Return whether a value has more than MAX_DEPTH levels; level by level, since a call each may fail."""
    level: list[Any] = [found] if type(found) in (dict, list) else []
    for _ in range(MAX_DEPTH):
        inner = list(chain.from_iterable(one.values() if type(one) is dict else one for one in level))
        if {dict, list}.isdisjoint(map(type, inner)):
            return False
        level = [one for one in inner if type(one) in (dict, list)]
    return True


def _structured(event: dict[str, object], record: Record) -> tuple[Mapping[str, object], int]:
    version = event.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise BadRecord("specversion", f"expected 1.0, got {short_repr(version)}", reason="cloudevent")
    time_ms = _time_ms(Fields(event).text("time"), "time") if "time" in event else record.timestamp_ms
    if "data_base64" in event:
        return _object(
            parse_json(_base64(Fields(event).text("data_base64")), "data_base64"), "data_base64"
        ), time_ms
    return _object(event.get("data"), "data"), time_ms


def _binary_time(headers: Headers, default_ms: int) -> int:
    time = header(headers, "ce_time")
    return default_ms if time is None else _time_ms(time.decode(errors="replace"), "header ce_time")


def _time_ms(text: str, field: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadRecord(
            field, f"expected an RFC 3339 time, got {short_repr(text)}", reason="cloudevent"
        ) from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRecord(
            "data_base64", f"expected base64, got {short_repr(text)}", reason="cloudevent"
        ) from None


def _error_text(error: BaseException) -> str:
    return str(error)[:120] or type(error).__name__
