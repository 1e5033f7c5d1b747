"""Ids in the keys of ``users`` and ``items``, as the usual serializers write them.

A key is the id as text; or a JSON string; or a JSON object with the id; or an int32 or int64 (big-endian), as
the serializers of Java write Integer and Long; or an Avro string, Avro long or JSON in Confluent's framing.
Text has no control characters. Binary forms have some, or are not UTF-8, except for large integers: an int32
can be printable from 538,976,288 on or below -191,905,856, an int64 from 2.3e18 on or below -8.2e17. Only the
setting ``key_form`` tells these from text. By ``auto`` four or eight printable bytes are text, so that short
ids are read as they were written. Other bytes that can be read in two ways are refused, unless the value of
the record names the id.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

from streams.errors import BadRecord
from streams.messages.envelope import FRAME_BYTES, parse_json
from streams.messages.fields import MAX_ID_BYTES, id_text, short_repr
from streams.settings import KeyForm

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_SCHEMA_ID = 999_999  # schema registries count from 1; a larger number is part of an int64
INTEGER_BYTES = {"int32": 4, "int64": 8}
MAX_VARINT_BYTES = 10
INTEGER = re.compile(r"-?[0-9]{1,19}")


def key_ids(key: bytes | None, id_field: str, form: KeyForm = "auto") -> list[str]:
    """Return every id that the key of a record may stand for; empty if it stands for none.

    Args:
        key: the key.
        id_field: the name of the id in a key that is a JSON object.
        form: what keys of four or eight bytes are: ``int32`` and ``int64`` are integers even if they are
            printable, ``text`` says that no key is an integer, ``auto`` that those are which are no text.

    Raises:
        BadRecord: there is no key.
    """
    if key is None:
        raise BadRecord("key", "missing", reason="key")
    if len(key) == INTEGER_BYTES.get(form):
        return [_integer(key)]
    text = _text(key)
    found = _binary(key, id_field, form) if text is None else _json(key, id_field, text)
    return list(dict.fromkeys(id_ for id_ in found if _is_id(id_)))


def may_be_integer(key: bytes | None, form: KeyForm, id_: str) -> bool:
    """Tell whether a key that is read as text can be this integer, too."""
    return key is not None and form == "auto" and len(key) in INTEGER_BYTES.values() and _integer(key) == id_


def the_id(key: bytes | None, id_field: str, form: KeyForm = "auto") -> str:
    """Return the id in the key of a record; the arguments are those of ``key_ids``.

    Raises:
        BadRecord: the key is missing, empty or too long, cannot be read, or can be read in two ways.
    """
    found = key_ids(key, id_field, form)
    if len(found) == 1:
        return found[0]
    if found:
        fault = f"can be read as {' or '.join(map(short_repr, found))}; write the id as text"
    elif (text := _text(key or b"")) is not None and not text.startswith(("{", "[", '"')):
        return id_text(text, "key")
    else:
        fault = f"expected an id as UTF-8 text, JSON string, int32, int64, or Avro, got {short_repr(key)}"
    raise BadRecord("key", fault, reason="key")


def encode_key(id_: str, form: KeyForm = "auto") -> bytes:
    """Return a key that is read as this id: an integer of the form, or its text, or a JSON string.

    Clients write integers by the form, too, and compaction knows an id by the bytes of its key.
    """
    text = json.dumps(id_)
    ways = [*_as_integer(id_, form), id_.encode(), text.encode(), f"{text} ".encode()]
    return next((key for key in ways if key_ids(key, "", form) == [id_]), text.encode())


def _text(key: bytes) -> str | None:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text


def _integer(key: bytes) -> str:
    return str(int.from_bytes(key, "big", signed=True))


def _as_integer(id_: str, form: KeyForm) -> Iterator[bytes]:
    """Yield the id as an integer of the form, if it is a number that this can hold."""
    if form in INTEGER_BYTES and INTEGER.fullmatch(id_):
        with suppress(OverflowError):
            yield int(id_).to_bytes(INTEGER_BYTES[form], "big", signed=True)


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


def _binary(key: bytes, id_field: str, form: KeyForm) -> Iterator[str]:
    if len(key) in INTEGER_BYTES.values() and form != "text":
        yield _integer(key)
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
