"""Requests for recommendations, and their replies."""

import msgspec

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_TIME_MS, Fields, short_repr

STRATEGIES = ("codes+rerank", "codes", "popular")
DEFAULT_K = 20  # length of a list if the request does not name one
MAX_K = 1000
MAX_IDS = 10_000  # longest list of ids in a request; more would exceed the largest record
SUBJECTS = ("user", "history", "similar_to")


class RatedItem(msgspec.Struct, frozen=True):
    """One entry of an inline history."""

    item: str
    rating: float


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for one list: for a user, for a history, or of items similar to an item."""

    user: str | None = None
    history: tuple[RatedItem, ...] | None = None
    """An inline history; it is not stored."""

    similar_to: str | None = None
    """An item id."""

    k: int = DEFAULT_K
    exclude: tuple[str, ...] = ()
    """Item ids to leave out."""

    only: tuple[str, ...] | None = None
    """Item ids to choose from; None means all items."""

    include_rated: bool = False
    strategy: str = STRATEGIES[0]
    deadline: int | None = None
    """Milliseconds since 1970 after which the client no longer waits."""


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance; None for the strategy ``popular``."""

    score: float
    title: str | None = None


class RecommendReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The recommended items, best first."""

    items: tuple[RecommendedItem, ...]
    generation: int
    strategy: str
    staleness_s: float
    """Seconds since the publication of the newest rating that the worker has applied; may be below 0."""

    user: str | None = None
    code: str | None = None
    """The user code in hexadecimal; None if the strategy uses no code."""

    ratings: int | None = None
    """How many ratings the list rests on: the live ratings of the user that the worker has applied, or the
    items of an inline history. None for similar items, and from workers that do not count."""

    generation_hash: str | None = None
    """Tells models of one generation apart; None from workers of earlier versions."""


class ErrorReply(msgspec.Struct, frozen=True):
    """The reply to a request that cannot be answered."""

    error: str


def decode_request(record: Record) -> RecommendRequest:
    """Parse a record of ``requests``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    found, _ = open_record(record)
    fields = Fields(found)
    given = [name for name in SUBJECTS if name in fields]
    if len(given) != 1:
        raise BadRecord(
            "user", f"expected one of user, history, similar_to, got {' and '.join(given) or 'none'}"
        )
    return RecommendRequest(
        user=fields.id("user") if "user" in fields else None,
        history=_history(fields) if "history" in fields else None,
        similar_to=fields.id("similar_to") if "similar_to" in fields else None,
        k=fields.integer("k", low=1, high=MAX_K, default=DEFAULT_K),
        exclude=fields.ids("exclude", at_most=MAX_IDS),
        only=fields.ids("only", at_most=MAX_IDS) if "only" in fields else None,
        include_rated=fields.flag("include_rated"),
        strategy=fields.choice("strategy", STRATEGIES),
        deadline=fields.integer("deadline", low=0, high=MAX_TIME_MS) if "deadline" in fields else None,
    )


def _history(fields: Fields) -> tuple[RatedItem, ...]:
    entries = fields.objects("history", at_most=MAX_IDS)
    return tuple(RatedItem(entry.id("item"), entry.number("rating")) for entry in entries)


def encode_request(request: RecommendRequest) -> bytes:
    """Return a request as JSON, without defaults."""
    return msgspec.json.encode(request)


_decode_reply = msgspec.json.Decoder(RecommendReply).decode
_decode_error = msgspec.json.Decoder(ErrorReply).decode


def decode_reply(value: bytes | None) -> RecommendReply | ErrorReply:
    """Parse the value of a reply.

    Raises:
        BadRecord: the value is not a reply.
    """
    try:
        return _decode_error(value or b"")
    except DECODE_ERRORS:
        pass
    try:
        return _decode_reply(value or b"")
    except DECODE_ERRORS as error:
        raise BadRecord(
            "value", f"expected a reply, got {short_repr(value)} ({error})", reason="json"
        ) from None


def encode_reply(reply: RecommendReply | ErrorReply) -> bytes:
    """Return a reply as JSON."""
    return msgspec.json.encode(reply)
