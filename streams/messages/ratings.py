"""Rating events: one user rated one item once, at a time.

Two ways lead to the same event. The fast one takes the usual form (plain JSON, ids that are short strings, a
time) in one call; what it refuses goes the slow way, which accepts every allowed form and names the fault.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import UNREADABLE, open_record
from streams.messages.fields import MAX_ID_BYTES, MAX_RATING, MAX_TIME_MS, Fields

# 64 characters are at most 256 bytes of UTF-8; longer ids are measured the slow way.
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
        BadRecord: naming the field at fault and what was found in it.
    """
    try:
        return _fast(record.value)  # type: ignore[arg-type] # None raises TypeError
    except (TypeError, *UNREADABLE):
        return _slow(record)


def decode_ratings(records: Iterable[Record]) -> list[RatingEvent | BadRecord]:
    """Parse many records; at the place of a bad one is its reason. About 1 us each."""
    fast, found = _fast, []
    for record in records:
        try:
            found.append(fast(record.value))  # type: ignore[arg-type]
        except (TypeError, *UNREADABLE):
            found.append(_slow_or_reason(record))  # type: ignore[arg-type]
    return found  # type: ignore[return-value]


def encode_rating(event: RatingEvent) -> bytes:
    """Return the JSON of a rating event."""
    return _encode(event)


def _slow(record: Record) -> RatingEvent:
    found, time_ms = open_record(record)
    fields = Fields(found)
    return RatingEvent(
        user=fields.id("user"),
        item=fields.id("item"),
        rating=None if "rating" in found and found["rating"] is None else fields.number("rating"),
        timestamp=fields.integer("timestamp", low=0, high=MAX_TIME_MS, default=max(time_ms, 0)),
    )


def _slow_or_reason(record: Record) -> RatingEvent | BadRecord:
    try:
        return _slow(record)
    except BadRecord as reason:
        return reason
