"""Ids in the keys of ``users`` and ``items``, as the usual serializers write them.

A key is the id as text; or a JSON string; or a JSON object with the id; or an int32 or int64 (big-endian), as
the serializers of Java write Integer and Long; or an Avro string, Avro long or JSON in Confluent's framing.
Text has no control characters, and all other binary forms do, or are not UTF-8. Some bytes can be read in two
ways: such a key is refused, unless the value of the record names the id.
"""

import json
import re
from collections.abc import Iterator

from streams.errors import BadRecord
from streams.messages.envelope import FRAME_BYTES, parse_json
from streams.messages.fields import MAX_ID_BYTES, id_text, short_repr

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_SCHEMA_ID = 999_999  # schema registries count from 1; a larger number is part of an int64
INTEGER_BYTES = (4, 8)
MAX_VARINT_BYTES = 10


def key_ids(key: bytes | None, id_field: str) -> list[str]:
    """Return every id that the key of a record may stand for; empty if it stands for none.

    Args:
        key: the key.
        id_field: the name of the id in a key that is a JSON object.

    Raises:
        BadRecord: there is no key.
    """
    if key is None:
        raise BadRecord("key", "missing", reason="key")
    text = _text(key)
    found = _binary(key, id_field) if text is None else _json(key, id_field, text)
    return list(dict.fromkeys(id_ for id_ in found if _is_id(id_)))


def the_id(key: bytes | None, id_field: str) -> str:
    """Return the id in the key of a record.

    Raises:
        BadRecord: the key is missing, empty or too long, cannot be read, or can be read in two ways.
    """
    found = key_ids(key, id_field)
    if len(found) == 1:
        return found[0]
    if found:
        fault = f"can be read as {' or '.join(map(short_repr, found))}; write the id as text"
    elif (text := _text(key or b"")) is not None and not text.startswith(("{", "[", '"')):
        return id_text(text, "key")
    else:
        fault = f"expected an id as UTF-8 text, JSON string, int32, int64, or Avro, got {short_repr(key)}"
    raise BadRecord("key", fault, reason="key")


def encode_key(id_: str) -> bytes:
    """Return the key of an id: its text, or a JSON string if the text would be read as something else."""
    plain = id_.encode()
    return plain if key_ids(plain, "") == [id_] else json.dumps(id_).encode()


def _text(key: bytes) -> str | None:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text


def _is_id(found: str) -> bool:
    return 1 <= len(found.encode()) <= MAX_ID_BYTES


def _json(key: bytes, id_field: str, text: str) -> Iterator[str]:
    """Yield the id in JSON; text that is no JSON string, object or list is the id itself."""
    try:
        found = parse_json(key, "key") if text[:1] in {'"', "{", "["} else text
    except BadRecord:
        found = text
    if isinstance(found, dict):
        found = found.get(id_field)
    if isinstance(found, str | int) and not isinstance(found, bool):
        yield str(found)


def _binary(key: bytes, id_field: str) -> Iterator[str]:
    if len(key) in INTEGER_BYTES:
        yield str(int.from_bytes(key, "big", signed=True))
    if key[:1] == b"\0" and 1 <= int.from_bytes(key[1:FRAME_BYTES], "big") <= MAX_SCHEMA_ID:
        payload = key[FRAME_BYTES:]
        yield from _avro(payload)
        if payload[:1] in {b'"', b"{"}:
            yield from _framed_json(payload, id_field)


def _framed_json(payload: bytes, id_field: str) -> Iterator[str]:
    try:
        found = parse_json(payload, "key")
    except BadRecord:
        return
    found = found.get(id_field) if isinstance(found, dict) else found
    if isinstance(found, str | int):
        yield str(found)


def _avro(payload: bytes) -> Iterator[str]:
    """Yield a payload that is exactly one Avro long, or exactly one Avro string."""
    number, rest = _varint(payload)
    if number is None:
        return
    if not rest:
        yield str(number)
    elif number == len(rest):
        text = _text(rest)
        if text is not None:
            yield text


def _varint(payload: bytes) -> tuple[int | None, bytes]:
    """Return the Avro long (zigzag, 7 bits a byte) at the start of a payload, and what follows it."""
    number = 0
    for at, byte in enumerate(payload[:MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), payload[at + 1 :]
    return None, payload
