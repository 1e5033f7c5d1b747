"""Records of ``item-ratings``: every rating event again, for the workers that own the items.

A record holds events of one batch whose items belong to one partition, as columns: to write and read a record
costs as much as twenty events. Each event keeps its offset in ``ratings``. Therefore the latest event
of a user and item by (timestamp, offset) is the same one for the user and for the item.

Records of an earlier version held one event each, and are read too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from dch.data.times import END_MS
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_ID_BYTES, MAX_OFFSET, Fields
from streams.messages.ratings import FiniteRating, ShortId

Offset = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]

Time = Annotated[int, msgspec.Meta(ge=0, lt=END_MS)]

MAX_EVENTS = 64
"""Events in a record that is written: with ids of 64 characters it stays below 64 KiB, however they are
escaped."""

MAX_LONG_EVENTS = 16
"""The same where an id is longer than that."""

MAX_EVENTS_READ = 10_000
"""Events in a record that is read."""

SHORT = MAX_ID_BYTES // 4


class ItemRatings(msgspec.Struct, frozen=True, gc=False):
    """Rating events, as applied by the worker that owns their users; columns of one length."""

    users: list[ShortId]
    items: list[ShortId]
    ratings: list[FiniteRating | None]
    """None withdraws the rating."""

    timestamps: list[Time]
    offsets: list[Offset]
    """Offset of each event in its owner partition of ``ratings``."""

    def __post_init__(self) -> None:
        if len({*map(len, self.as_tuple())}) > 1:
            raise ValueError("expected columns of one length")

    def __len__(self) -> int:
        return len(self.users)

    def as_tuple(self) -> tuple[list[Any], ...]:
        """Return all columns."""
        return self.users, self.items, self.ratings, self.timestamps, self.offsets

    def part(self, start: int, stop: int) -> "ItemRatings":
        """Return the events from start up to stop."""
        return ItemRatings(*(column[start:stop] for column in self.as_tuple()))

    def chosen(self, positions: Sequence[int]) -> "ItemRatings":
        """Return the events at these positions."""
        return ItemRatings(*([column[at] for at in positions] for column in self.as_tuple()))


def joined(parts: Iterable[ItemRatings]) -> ItemRatings:
    """Return all events, in order."""
    found = ItemRatings([], [], [], [], [])
    for part in parts:
        for column, more in zip(found.as_tuple(), part.as_tuple(), strict=True):
            column += more
    return found


_fast = msgspec.json.Decoder(ItemRatings).decode
_encode = msgspec.json.Encoder().encode


def encode_item_ratings(found: ItemRatings) -> Iterator[bytes]:
    """Yield JSON of at most 64 events each."""
    is_short = max(map(len, (*found.users, *found.items)), default=0) <= SHORT
    step = MAX_EVENTS if is_short else MAX_LONG_EVENTS
    for start in range(0, len(found), step):
        yield _encode(found.part(start, start + step))


def decode_item_ratings(records: Iterable[Record]) -> list[ItemRatings | BadRecord]:
    """Parse many records; a bad one yields its ``BadRecord``."""
    found = list[ItemRatings | BadRecord]()
    for record in records:
        try:
            record.require_headers()
            found.append(_fast(record.value or b""))
        except DECODE_ERRORS:
            found.append(_decode_slowly(record))
    return found


def decode_item_rating(record: Record) -> ItemRatings:
    """Parse a record of ``item-ratings``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    (found,) = decode_item_ratings([record])
    if isinstance(found, BadRecord):
        raise found
    return found


def _decode_any(record: Record) -> ItemRatings:
    """Parse any allowed form: also of one event, with long ids, or in an envelope."""
    body, _ = open_record(record)
    rows = [_event(Fields(row, path)) for row, path in _rows_of(body)]
    return ItemRatings(*[list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(5)])


def _rows_of(body: Mapping[str, object]) -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield the fields of each event, with the name of its position in the record."""
    names = [name for name in ItemRatings.__struct_fields__ if name in body]
    if not names:
        yield body, ""
        return
    columns = [Fields(body).entries(name, at_most=MAX_EVENTS_READ) for name in names]
    if len({*map(len, columns)}) > 1:
        raise BadRecord(names[0], f"expected columns of one length, got {list(map(len, columns))}")
    for at, values in enumerate(zip(*columns, strict=True)):
        yield dict(zip((name[:-1] for name in names), values, strict=True)), f"[{at}]."


def _event(fields: Fields) -> tuple[str, str, float | None, int, int]:
    return (
        fields.id("user"),
        fields.id("item"),
        None if fields.is_null("rating") else fields.number("rating"),
        fields.integer("timestamp", low=0, high=END_MS - 1),
        fields.integer("offset", low=0, high=MAX_OFFSET),
    )


def _decode_slowly(record: Record) -> ItemRatings | BadRecord:
    try:
        return _decode_any(record)
    except BadRecord as reason:
        return reason
