"""Records of ``item-ratings``: every rating event again, keyed by item, for the worker that owns the item.

A record keeps the offset of its event in ``ratings``. Therefore the latest event of a user and item by
(timestamp, offset) is the same one for the user and for the item.
"""

from collections.abc import Iterable

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_INT64, MAX_TIME_MS, Fields
from streams.messages.ratings import FiniteRating, ShortId, TimeMs


class ItemRating(msgspec.Struct, frozen=True, gc=False):
    """One rating event, as applied by the worker that owns its user."""

    user: ShortId
    item: ShortId
    rating: FiniteRating | None
    """None withdraws the rating."""

    timestamp: TimeMs
    offset: int
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


def _decode_slowly(record: Record) -> ItemRating | BadRecord:
    """Parse what the fast decoder refuses: ids over 64 characters, envelopes and bad records."""
    try:
        found, _ = open_record(record)
        fields = Fields(found)
        return ItemRating(
            user=fields.id("user"),
            item=fields.id("item"),
            rating=None if "rating" in found and found["rating"] is None else fields.number("rating"),
            timestamp=fields.integer("timestamp", low=0, high=MAX_TIME_MS),
            offset=fields.integer("offset", low=0, high=MAX_INT64),
        )
    except BadRecord as reason:
        return reason
