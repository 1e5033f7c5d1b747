"""Records of ``ratings``: one user rated one item once, at a time.

The fast decoder parses a whole batch of the usual form in one call: plain JSON, short string ids,
milliseconds. The slow decoder takes what the fast one refuses: it accepts every allowed form and names the
invalid field.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

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
_fast_lines: Callable[[bytes], list[RatingEvent | BadRecord]]
_fast_lines = msgspec.json.Decoder(RatingEvent).decode_lines  # type: ignore[assignment] # it yields no bad ones
_encode = msgspec.json.Encoder().encode
_fault = attrgetter("fault")


def decode_rating(record: Record) -> RatingEvent:
    """Parse a record of ``ratings`` or ``item-ratings``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    (event,) = decode_ratings([record])
    if isinstance(event, BadRecord):
        raise event
    return event


def decode_ratings(records: Sequence[Record]) -> list[RatingEvent | BadRecord]:
    """Parse many records, about 0.5 us each; a bad record yields its ``BadRecord``."""
    events = _decode_together(records)
    if events is None:
        return [_decode_alone(record) for record in records]
    for at in np.flatnonzero(~_are_on_time(events, records)).tolist():
        events[at] = _decode_slowly(records[at])
    return events


def _decode_together(records: Sequence[Record]) -> list[RatingEvent | BadRecord] | None:
    """Parse records in one call, each as one line; None if any is not of the usual form."""
    if any(map(_fault, records)):
        return None
    try:
        lines = b"\n".join([record.value for record in records])  # type: ignore[misc] # None raises TypeError
        events = _fast_lines(lines)
    except (TypeError, *DECODE_ERRORS):
        return None
    # A value with a line break, or an empty one, would shift the events of all records after it.
    return events if len(events) == len(records) == lines.count(b"\n") + 1 else None


def _are_on_time(events: Sequence[Any], records: Sequence[Record]) -> NDArray[np.bool_]:
    """Return which events are at most a day ahead of their records, (n,)."""
    times = np.array([event.timestamp for event in events], np.int64)
    sent = np.array([record.timestamp_ms for record in records], np.int64)
    on_time: NDArray[np.bool_] = (times - DAY_MS <= sent) & (sent < END_MS)
    return on_time


def _decode_alone(record: Record) -> RatingEvent | BadRecord:
    try:
        record.require_headers()
        event = _fast(record.value or b"")
    except DECODE_ERRORS:
        return _decode_slowly(record)
    is_on_time = event.timestamp - DAY_MS <= record.timestamp_ms < END_MS
    return event if is_on_time else _decode_slowly(record)


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
