"""Records of ``served``: what sampled users were shown, and which items they rated, for the observer.

A list has the place of its request, a rating its own place: a topic, known by the kind of the record, a
partition and an offset. Records with the same kind and place are copies of one; only the first one counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec

from dch.data.times import END_MS, FIRST_MS
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_COUNT, MAX_GENERATION, MAX_HASH_BYTES, MAX_OFFSET, Fields, short_repr
from streams.messages.item_ratings import Offset
from streams.messages.ratings import ShortId, TimeMs
from streams.messages.requests import MAX_K, STRATEGIES
from streams.messages.times import own_time

USER_COHORTS = ("no_ratings", "few_ratings", "some_ratings", "many_ratings")
"""Cohorts of users by their number of live ratings when a list was made: 0, 1 to 4, 5 to 19, 20 or more."""

COHORT_FROM = (0, 1, 5, 20)
"""The fewest ratings of each cohort."""

ARMS = ("default",)
"""Arms of experiments; there is one so far."""

KINDS = ("list", "rating")

MAX_AHEAD_MS = 3_600_000
"""A time may be later than that of its record by this much: the worker's clock and the broker's differ. It is
far below a day, so that no record makes others late."""

MAX_POPULARITY = MAX_K * MAX_COUNT

PartitionNumber = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Hash = Annotated[str, msgspec.Meta(pattern=rf"\A(?:[0-9a-f]{{2}}){{0,{MAX_HASH_BYTES}}}\Z")]
Items = Annotated[tuple[ShortId, ...], msgspec.Meta(max_length=MAX_K)]


class ServedList(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="kind", tag="list"):
    """One list that a user was sent."""

    user: ShortId
    partition: PartitionNumber
    """Of the request; with the offset, the id of the list."""

    offset: Offset
    time: TimeMs
    """Milliseconds since 1970: when the request was sent."""

    items: Items
    """The items in the order shown, each once."""

    new_items: Count
    """How many of them the fit of the generation never saw."""

    popularity: Annotated[int, msgspec.Meta(ge=0, le=MAX_POPULARITY)]
    """Sum of the popularity of the items, in positive ratings."""

    catalogue: Count
    """Number of items that had a code when the list was made."""

    strategy: str
    generation: Annotated[int, msgspec.Meta(ge=0, le=MAX_GENERATION)]
    cohort: str
    arm: str = ARMS[0]
    generation_hash: Hash = ""
    """Tells models of one generation apart; empty in earlier records. No label of a metric."""


class ServedRating(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="kind", tag="rating"):
    """One rating by a sampled user, as applied."""

    user: ShortId
    partition: PartitionNumber
    """Of the rating; with the offset, its id."""

    offset: Offset
    time: TimeMs
    """Milliseconds since 1970: when the rating was sent."""

    item: ShortId
    liked: bool
    """Whether the rating is positive."""


Served = ServedList | ServedRating

_fast = msgspec.json.Decoder(Served).decode
_fast_kept = msgspec.json.Decoder(list[Served]).decode
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode_served = msgspec.json.Encoder().encode
"""Return a served list or rating as JSON."""

FULL_BYTES = 100_000
"""From this size on a record of the changelog gets no more; a broker takes a million bytes."""


def cohort_of(n_ratings: int) -> str:
    """Return the cohort of a user with this many live ratings."""
    return USER_COHORTS[sum(n_ratings >= fewest for fewest in COHORT_FROM) - 1]


def decode_served(record: Record) -> Served:
    """Parse a record of ``served``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    record.require_headers()
    try:
        found: Served = _fast(record.value or b"")
    except DECODE_ERRORS:
        found = _decode_slowly(record)
    _check(found, record)
    return found


def encode_kept(found: Sequence[Served]) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of records of the changelog that hold these lists and ratings in order.

    A key is the id of the first one: its kind and place, such as ``list-3-1234``.
    """
    values, n_bytes, first = list[bytes](), 0, 0
    for at, one in enumerate(found):
        values.append(value := encode_served(one))
        n_bytes += len(value)
        if n_bytes >= FULL_BYTES or at == len(found) - 1:
            yield _key_of(found[first]), b"[%b]" % b",".join(values)
            values, n_bytes, first = [], 0, at + 1


def _key_of(found: Served) -> bytes:
    kind = "list" if isinstance(found, ServedList) else "rating"
    return f"{kind}-{found.partition}-{found.offset}".encode()


def decode_kept(record: Record) -> list[Served]:
    """Parse a record of the changelog: an array, or one list or rating, as earlier versions wrote it.

    Those that this version does not know, such as lists of a strategy that is gone, are left out.

    Raises:
        BadRecord: the record is not of this form.
    """
    record.require_headers()
    value = record.value or b""
    if not value.startswith(b"["):
        return [decode_served(record)]
    try:
        found = _fast_kept(value)
    except DECODE_ERRORS:  # as one of them has a long id
        return list(_decode_each(record))
    return [one for one in found if _is_known(one, record)]


def _decode_each(record: Record) -> Iterator[Served]:
    try:
        parts = _parts(record.value or b"")
    except DECODE_ERRORS as error:
        raise BadRecord("value", f"expected an array of JSON: {error}", reason="json") from None
    for part in parts:
        with suppress(BadRecord):
            yield decode_served(msgspec.structs.replace(record, value=bytes(part), headers=()))


def _is_known(found: Served, record: Record) -> bool:
    try:
        _check(found, record)
    except BadRecord:
        return False
    return True


def _decode_slowly(record: Record) -> Served:
    """Parse any allowed form: also with long ids, or in an envelope."""
    fields = Fields(open_record(record)[0])
    kind = fields.choice("kind", KINDS) if "kind" in fields else None
    if kind is None:
        raise BadRecord("kind", "missing")
    user = fields.id("user")
    partition = fields.integer("partition", low=0, high=MAX_COUNT)
    offset = fields.integer("offset", low=0, high=MAX_OFFSET)
    time = fields.integer("time", low=FIRST_MS, high=END_MS - 1)
    if kind == "rating":
        return ServedRating(
            user=user,
            partition=partition,
            offset=offset,
            time=time,
            item=fields.id("item"),
            liked=fields.flag("liked"),
        )
    return ServedList(
        user=user,
        partition=partition,
        offset=offset,
        time=time,
        items=fields.ids("items", at_most=MAX_K),
        new_items=fields.integer("new_items", low=0, high=MAX_K),
        popularity=fields.integer("popularity", low=0, high=MAX_POPULARITY),
        catalogue=fields.integer("catalogue", low=0, high=MAX_COUNT),
        strategy=fields.text("strategy"),
        generation=fields.integer("generation", low=0, high=MAX_GENERATION),
        cohort=fields.text("cohort"),
        arm=fields.choice("arm", ARMS),
        generation_hash=fields.generation_hash(),
    )


def _check(found: Served, record: Record) -> None:
    """Check what types do not: labels of metrics come from closed sets, and a list has each item once."""
    if found.time > own_time(record) + MAX_AHEAD_MS:
        raise BadRecord(
            "time", f"expected at most an hour after that of the record, got {found.time}", reason="time"
        )
    if isinstance(found, ServedList):
        _check_list(found)


def _check_list(found: ServedList) -> None:
    _require("strategy", found.strategy, STRATEGIES)
    _require("cohort", found.cohort, USER_COHORTS)
    _require("arm", found.arm, ARMS)
    if len(set(found.items)) < len(found.items):
        raise BadRecord("items", "expected each item once, got an item twice")
    if found.new_items > len(found.items):
        raise BadRecord("new_items", f"expected at most {len(found.items)}, got {found.new_items}")


def _require(field: str, found: str, choices: Sequence[str]) -> None:
    if found not in choices:
        raise BadRecord(field, f"expected one of {', '.join(choices)}, got {short_repr(found)}")
