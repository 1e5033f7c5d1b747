"""Records of ``item-codes``: the code of an item, published by the worker that owns the item."""

from typing import Annotated

import msgspec

from dch.config import MAX_BITS, MAX_VECTOR_SIZE
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_COUNT, MAX_GENERATION, MAX_HASH_BYTES, Fields, key_id

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]


class ItemCode(msgspec.Struct, frozen=True, gc=False):
    """The code of one item in one generation."""

    generation: Annotated[int, msgspec.Meta(ge=0, le=MAX_GENERATION)]
    code: str
    """Hexadecimal, two digits for each 8 bits."""

    ratings: Count
    """Number of users who currently rate the item."""

    positives: Count
    """Number of those ratings that are positive."""

    vector: str = ""
    """The int8 ranking vector in hexadecimal, two digits for each element; empty if the model has none."""

    generation_hash: str = ""
    """Tells models of one generation apart; empty in earlier records, which belong to no model."""


UNREADABLE = ItemCode(generation=0, code="", ratings=0, positives=0)
"""Stands for a record that cannot be read, and has replaced the code of its item all the same."""

_fast = msgspec.json.Decoder(ItemCode).decode


def decode_item_code(record: Record) -> tuple[str, ItemCode | None]:
    """Parse a record of ``item-codes`` into the item id and its code; None if the item was removed.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    record.require_headers()
    item = key_id(record.key)
    if not record.value:
        return item, None
    try:
        if _is_usual(found := _fast(record.value)):
            return item, found
    except DECODE_ERRORS:
        pass
    return item, _decode_slowly(record)


def _is_usual(found: ItemCode) -> bool:
    """Tell whether the digits are such that no error is to be named and nothing to be converted."""
    code, vector, hash_ = len(found.code) // 2, len(found.vector) // 2, len(found.generation_hash) // 2
    digits = found.code + found.vector + found.generation_hash
    return (
        2 * (code + vector + hash_) == len(digits) == 2 * len(bytes.fromhex(digits))
        and found.generation_hash == found.generation_hash.lower()
        and 1 <= code <= MAX_BITS // 8
        and vector <= MAX_VECTOR_SIZE
        and hash_ <= MAX_HASH_BYTES
    )


def _decode_slowly(record: Record) -> ItemCode:
    """Parse any allowed form, also in an envelope, and name the invalid field."""
    fields = Fields(open_record(record)[0])
    return ItemCode(
        generation=fields.integer("generation", low=0, high=MAX_GENERATION),
        code=fields.hexadecimal("code", 1, MAX_BITS // 8),
        ratings=fields.integer("ratings", low=0, high=MAX_COUNT),
        positives=fields.integer("positives", low=0, high=MAX_COUNT),
        vector=fields.hexadecimal("vector", 0, MAX_VECTOR_SIZE) if "vector" in fields else "",
        generation_hash=fields.generation_hash(),
    )


def encode_item_code(code: ItemCode) -> bytes:
    """Return an item code as JSON."""
    return msgspec.json.encode(code)
