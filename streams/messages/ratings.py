"""Records of ``ratings``: one user rated one item once, at a time.

The fast decoder parses the usual form in one call: plain JSON, short string ids, milliseconds. The slow
decoder takes what the fast one refuses: it accepts every allowed form and names the invalid field.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from dch.data.times import END_MS, FIRST_MS
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_ID_BYTES, MAX_RATING, Fields
from streams.messages.times import DAY_MS, time_of

# 64 characters are at most 256 bytes of UTF-8; the slow decoder measures longer ids.
ShortId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES // 4)]
FiniteRating = Annotated[float, msgspec.Meta(ge=-MAX_RATING, le=MAX_RATING)]
TimeMs = Annotated[int, msgspec.Meta(ge=FIRST_MS, lt=END_MS)]


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
    (event,) = decode_ratings([record])
    if isinstance(event, BadRecord):
        raise event
    return event


def decode_ratings(records: Iterable[Record]) -> list[RatingEvent | BadRecord]:
    """Parse many records, about 1 us each; a bad record yields its ``BadRecord``."""
    events: list[RatingEvent | BadRecord] = []
    fast, append, day_ms, end_ms = _fast, events.append, DAY_MS, END_MS  # locals are faster
    for record in records:
        try:
            event = fast(record.value)  # type: ignore[arg-type] # None raises TypeError
            if event.timestamp - day_ms <= record.timestamp_ms < end_ms:
                append(event)
                continue
            append(_decode_slowly(record))
        except (TypeError, *DECODE_ERRORS):
            events.append(_decode_slowly(record))
    return events


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
        timestamp=time_of(found.get("timestamp"), record, "timestamp", default_ms=time_ms),
    )


def _decode_slowly(record: Record) -> RatingEvent | BadRecord:
    try:
        return _decode_any(record)
    except BadRecord as reason:
        return reason
