"""Records of ``item-ratings``: every rating event again, keyed by item, for the worker that owns the item.

A record keeps the offset of its event in ``ratings``. Therefore the latest event of a user and item by
(timestamp, offset) is the same one for the user and for the item.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from dch.data.times import END_MS
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_OFFSET, Fields
from streams.messages.ratings import FiniteRating, ShortId

Offset = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]

Time = Annotated[int, msgspec.Meta(ge=0, lt=END_MS)]


class ItemRating(msgspec.Struct, frozen=True, gc=False):
    """One rating event, as applied by the worker that owns its user."""

    user: ShortId
    item: ShortId
    rating: FiniteRating | None
    """None withdraws the rating."""

    timestamp: Time
    offset: Offset
    """Offset of the event in its owner partition of ``ratings``."""


_fast = msgspec.json.Decoder(ItemRating).decode
encode_item_rating = msgspec.json.Encoder().encode
"""Return an item rating as JSON."""


def decode_item_ratings(records: Iterable[Record]) -> list[ItemRating | BadRecord]:
    """Parse many records, about 1 us each; a bad record yields its ``BadRecord``."""
    fast, events = _fast, list[ItemRating | BadRecord]()
    for record in records:
        try:
            events.append(fast(record.value or b""))
        except DECODE_ERRORS:
            events.append(_decode_slowly(record))
    return events


def decode_item_rating(record: Record) -> ItemRating:
    """Parse a record of ``item-ratings``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    (event,) = decode_item_ratings([record])
    if isinstance(event, BadRecord):
        raise event
    return event


def _decode_any(record: Record) -> ItemRating:
    """Parse any allowed form: also with long ids, or in an envelope."""
    found, _ = open_record(record)
    fields = Fields(found)
    return ItemRating(
        user=fields.id("user"),
        item=fields.id("item"),
        rating=None if "rating" in found and found["rating"] is None else fields.number("rating"),
        timestamp=fields.integer("timestamp", low=0, high=END_MS - 1),
        offset=fields.integer("offset", low=0, high=MAX_OFFSET),
    )


def _decode_slowly(record: Record) -> ItemRating | BadRecord:
    try:
        return _decode_any(record)
    except BadRecord as reason:
        return reason
