"""Records of ``ratings``: one user rated one item once, at a time.

The fast decoder parses the usual form in one call: plain JSON, short string ids, a timestamp. The slow
decoder takes what the fast one refuses: it accepts every allowed form and names the invalid field.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_ID_BYTES, MAX_RATING, MAX_TIME_MS, Fields

# 64 characters are at most 256 bytes of UTF-8; the slow decoder measures longer ids.
ShortId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES // 4)]
FiniteRating = Annotated[float, msgspec.Meta(ge=-MAX_RATING, le=MAX_RATING)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]


class RatingEvent(msgspec.Struct, frozen=True, gc=False):
    """One user rated one item once, at a time."""

    user: ShortId
    item: ShortId
    rating: FiniteRating | None
    """None withdraws the rating."""

    timestamp: TimeMs
    """Milliseconds since 1970."""


_fast = msgspec.json.Decoder(RatingEvent).decode
_encode = msgspec.json.Encoder().encode


def decode_rating(record: Record) -> RatingEvent:
    """Parse a record of ``ratings`` or ``item-ratings``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    try:
        return _fast(record.value)  # type: ignore[arg-type] # None raises TypeError
    except (TypeError, *DECODE_ERRORS):
        return _decode_any(record)


def decode_ratings(records: Iterable[Record]) -> list[RatingEvent | BadRecord]:
    """Parse many records, about 1 us each; a bad record yields its ``BadRecord``."""
    fast, events = _fast, []
    for record in records:
        try:
            events.append(fast(record.value))  # type: ignore[arg-type]
        except (TypeError, *DECODE_ERRORS):
            events.append(_decode_slowly(record))  # type: ignore[arg-type]
    return events  # type: ignore[return-value]


def encode_rating(event: RatingEvent) -> bytes:
    """Return a rating event as JSON."""
    return _encode(event)


def _decode_any(record: Record) -> RatingEvent:
    found, time_ms = open_record(record)
    fields = Fields(found)
    return RatingEvent(
        user=fields.id("user"),
        item=fields.id("item"),
        rating=None if "rating" in found and found["rating"] is None else fields.number("rating"),
        timestamp=fields.integer("timestamp", low=0, high=MAX_TIME_MS, default=max(time_ms, 0)),
    )


def _decode_slowly(record: Record) -> RatingEvent | BadRecord:
    try:
        return _decode_any(record)
    except BadRecord as reason:
        return reason
