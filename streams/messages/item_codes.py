"""Records of ``item-codes``: the code of an item, published by the worker that owns the item."""

import msgspec

from dch.config import MAX_BITS, MAX_VECTOR_SIZE
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import MAX_COUNT, MAX_GENERATION, Fields, key_id


class ItemCode(msgspec.Struct, frozen=True):
    """The code of one item in one generation."""

    generation: int
    code: str
    """Hexadecimal, two digits for each 8 bits."""

    ratings: int
    """Number of users who currently rate the item."""

    positives: int
    """Number of those ratings that are positive."""

    vector: str = ""
    """The int8 ranking vector in hexadecimal, two digits for each element; empty if the model has none."""

    generation_hash: str = ""
    """Tells models of one generation apart; empty in earlier records, which belong to no model."""


def decode_item_code(record: Record) -> tuple[str, ItemCode | None]:
    """Parse a record of ``item-codes`` into the item id and its code; None if the item was removed.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    item = key_id(record.key)
    if not record.value:
        return item, None
    fields = Fields(open_record(record)[0])
    return item, ItemCode(
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
