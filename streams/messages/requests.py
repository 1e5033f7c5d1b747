"""Requests for recommendations, and the replies to them."""

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import UNREADABLE, open_record
from streams.messages.fields import MAX_TIME_MS, Fields, shown

STRATEGIES = ("codes+rerank", "codes", "popular")
MAX_K = 1000
MAX_LIST = 10_000  # ids a request may name: more would make it larger than a record may be
SUBJECTS = ("user", "history", "similar_to")


class RatedItem(msgspec.Struct, frozen=True):
    """One entry of an inline history."""

    item: str
    rating: float


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question: what would this user, this history, or somebody who likes this item want?"""

    user: str | None = None
    history: tuple[RatedItem, ...] | None = None
    """An inline history; nothing of it is stored."""

    similar_to: str | None = None
    """An item id."""

    k: int = 20
    exclude: tuple[str, ...] = ()
    """Item ids never to be recommended."""

    only: tuple[str, ...] | None = None
    """Item ids to choose among; None is all of them."""

    include_rated: bool = False
    strategy: str = STRATEGIES[0]
    deadline: int | None = None
    """Milliseconds since 1970 after which nobody waits any more."""


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a reply."""

    item: str
    distance: int | None
    """Hamming distance; None in the popular list."""

    score: float
    title: str | None = None


class RecommendReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer, best item first."""

    items: tuple[RecommendedItem, ...]
    generation: int
    strategy: str
    staleness_s: float
    """Seconds since the newest rating record that the worker has applied was published."""

    user: str | None = None
    code: str | None = None
    """The user code, hexadecimal; None where the strategy used none."""


class ErrorReply(msgspec.Struct, frozen=True):
    """The answer to a request that cannot be answered."""

    error: str


def decode_request(record: Record) -> RecommendRequest:
    """Parse a record of ``requests``.

    Raises:
        BadRecord: naming the field at fault and what was found in it.
    """
    found, _ = open_record(record)
    fields = Fields(found)
    named = [name for name in SUBJECTS if name in fields]
    if len(named) != 1:
        raise BadRecord(
            "user", f"expected one of user, history, similar_to, got {' and '.join(named) or 'none'}"
        )
    return RecommendRequest(
        user=fields.id("user") if "user" in fields else None,
        history=_history(fields) if "history" in fields else None,
        similar_to=fields.id("similar_to") if "similar_to" in fields else None,
        k=fields.integer("k", low=1, high=MAX_K, default=20),
        exclude=fields.ids("exclude", at_most=MAX_LIST),
        only=fields.ids("only", at_most=MAX_LIST) if "only" in fields else None,
        include_rated=fields.flag("include_rated"),
        strategy=fields.choice("strategy", STRATEGIES),
        deadline=fields.integer("deadline", low=0, high=MAX_TIME_MS) if "deadline" in fields else None,
    )


def _history(fields: Fields) -> tuple[RatedItem, ...]:
    entries = fields.objects("history", at_most=MAX_LIST)
    return tuple(RatedItem(entry.id("item"), entry.number("rating")) for entry in entries)


def encode_request(request: RecommendRequest) -> bytes:
    """Return the JSON of a request, defaults left out."""
    return msgspec.json.encode(request)


_decode_reply = msgspec.json.Decoder(RecommendReply).decode
_decode_error = msgspec.json.Decoder(ErrorReply).decode


def decode_reply(value: bytes | None) -> RecommendReply | ErrorReply:
    """Parse the value of a reply.

    Raises:
        BadRecord: it is no reply of ours.
    """
    try:
        return _decode_error(value or b"")
    except UNREADABLE:
        pass
    try:
        return _decode_reply(value or b"")
    except UNREADABLE as error:
        raise BadRecord("value", f"expected a reply, got {shown(value)} ({error})", reason="json") from None


def encode_reply(reply: RecommendReply | ErrorReply) -> bytes:
    """Return the JSON of a reply."""
    return msgspec.json.encode(reply)
