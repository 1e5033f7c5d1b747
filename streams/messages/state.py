"""What roles tell each other on compacted topics: item codes, and pointers to models."""

from collections.abc import Mapping

import msgspec

from dch.config import MAX_BITS, MAX_VECTOR_SIZE
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.features import key_id
from streams.messages.fields import MAX_TIME_MS, Fields, shown

MODEL_KEY = b"model"
MAX_INT = 2**63 - 1


class ItemCode(msgspec.Struct, frozen=True):
    """The code of one item in one generation."""

    generation: int
    code: str
    """Hexadecimal, two digits for each 8 bits."""

    ratings: int
    """How many users rate the item now."""

    positives: int
    """How many of those ratings are positive."""

    vector: str = ""
    """Its ranking vector, hexadecimal, two digits for each element (int8); empty where there are none."""


class ModelPointer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a generation lies, and what it was fitted on."""

    generation: int
    location: str
    sha256: str
    """Of the manifest of the artifact."""

    watermarks: Mapping[str, int]
    """By partition of ``ratings``, as text: the first offset that the fit did not see."""

    trained_at: int
    """Milliseconds since 1970."""

    metrics: Mapping[str, object]


def decode_item_code(record: Record) -> tuple[str, ItemCode | None]:
    """Parse a record of ``item-codes`` into the item id and its code; None: the item was removed.

    Raises:
        BadRecord: naming the field at fault and what was found in it.
    """
    id_ = key_id(record.key)
    if not record.value:
        return id_, None
    fields = Fields(open_record(record)[0])
    return id_, ItemCode(
        generation=fields.integer("generation", low=0, high=MAX_INT),
        code=_hexadecimal(fields, "code", 1, MAX_BITS // 8),
        ratings=fields.integer("ratings", low=0, high=MAX_INT),
        positives=fields.integer("positives", low=0, high=MAX_INT),
        vector=_hexadecimal(fields, "vector", 0, MAX_VECTOR_SIZE) if "vector" in fields else "",
    )


def encode_item_code(code: ItemCode) -> bytes:
    """Return the JSON of an item code."""
    return msgspec.json.encode(code)


def decode_model_pointer(record: Record) -> ModelPointer:
    """Parse a record of ``models``.

    Raises:
        BadRecord: naming the field at fault and what was found in it.
    """
    fields = Fields(open_record(record)[0])
    watermarks = Fields(fields.mapping("watermarks"), "watermarks.")
    return ModelPointer(
        generation=fields.integer("generation", low=0, high=MAX_INT),
        location=fields.text("location"),
        sha256=_hexadecimal(fields, "sha256", 1, 32),
        watermarks={
            name: watermarks.integer(name, low=0, high=MAX_INT) for name in fields.mapping("watermarks")
        },
        trained_at=fields.integer("trained_at", low=0, high=MAX_TIME_MS),
        metrics=fields.mapping("metrics"),
    )


def encode_model_pointer(pointer: ModelPointer) -> bytes:
    """Return the JSON of a model pointer."""
    return msgspec.json.encode(pointer)


def _hexadecimal(fields: Fields, name: str, fewest: int, most: int) -> str:
    """Return the digits of so many bytes, two for each."""
    text = fields.text(name)
    try:
        n_bytes = len(bytes.fromhex(text))
    except ValueError:
        raise BadRecord(name, f"expected hexadecimal digits, got {shown(text)}") from None
    if len(text) != 2 * n_bytes or not fewest <= n_bytes <= most:  # fromhex passes over spaces
        raise BadRecord(name, f"expected {2 * fewest} to {2 * most} digits in pairs, got {shown(text)}")
    return text
