"""Requests for recommendations, and their replies."""

from typing import NamedTuple

import msgspec

from streams.errors import BadRecord, RequestTooHeavy
from streams.kafka.records import Record
from streams.messages.envelope import DECODE_ERRORS, open_record
from streams.messages.fields import MAX_RATING, MAX_TIME_MS, Fields, is_plain_id, short_repr

STRATEGIES = ("codes+rerank", "codes", "codes-weighted", "popular", "codes+rerank+neighbours", "features")
DEFAULT_K = 20  # length of a list if the request does not name one
MAX_K = 1000
MAX_IDS = 10_000  # longest list of ids in a request; more would exceed the largest record
SUBJECTS = ("user", "history", "similar_to")
LISTS = ("history", "exclude", "only")


class RequestLimits(NamedTuple):
    """How much one request may ask for: see the settings of the worker."""

    n_bytes: int = 1 << 31
    """Of its key, value and headers; bounds what is parsed, whatever the fields are."""

    n_ids: int = MAX_IDS * len(LISTS)
    """In ``history``, ``exclude`` and ``only`` together."""

    k: int = MAX_K


NO_LIMITS = RequestLimits()


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
    strategy: str | None = None
    """One of STRATEGIES; None: ``codes+rerank+neighbours``, or ``codes+rerank`` without neighbours."""

    deadline: int | None = None
    """Milliseconds since 1970 after which the client no longer waits."""

    explain: bool = False
    """Whether each item comes with the rated items that speak for it."""

    @property
    def work(self) -> int:
        """How many ids it names and asks for: what it costs beside the search grows with them."""
        return self.k + len(self.history or ()) + len(self.exclude) + len(self.only or ())


class RatedReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rated item that speaks for a recommended one."""

    item: str
    share: float
    """Above 0, at most 1: its part of what all rated items that speak for the recommended item add."""

    title: str | None = None


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance, weighted if the search was; None for ``popular`` and ``features``."""

    score: float
    title: str | None = None
    because: tuple[RatedReason, ...] = ()
    """At most three, strongest first. Empty unless the request asked for an explanation."""


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


def size_of(record: Record) -> int:
    """Return the bytes of a record: of its key, its value and its headers."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def decode_request(record: Record, limits: RequestLimits = NO_LIMITS) -> RecommendRequest:
    """Parse a record of ``requests``.

    Raises:
        BadRecord: it names the invalid field and its value.
        RequestTooHeavy: it is over a limit. Neither a record with too many bytes is parsed, nor a list with
            too many ids.
    """
    _limit("request", "bytes", size_of(record), limits.n_bytes, "--max-request-bytes")
    found, _ = open_record(record)
    fields = Fields(found)
    n_ids = sum(map(fields.length, LISTS))
    _limit("history, exclude and only", "ids in all", n_ids, limits.n_ids, "--max-request-ids")
    k = fields.integer("k", low=1, high=MAX_K, default=DEFAULT_K)
    _limit("k", "items", k, limits.k, "--max-k")
    given = [name for name in SUBJECTS if name in fields]
    if len(given) != 1:
        raise BadRecord(
            "user", f"expected one of user, history, similar_to, got {' and '.join(given) or 'none'}"
        )
    return RecommendRequest(
        user=fields.id("user") if "user" in fields else None,
        history=_history(fields) if "history" in fields else None,
        similar_to=fields.id("similar_to") if "similar_to" in fields else None,
        k=k,
        exclude=fields.ids("exclude", at_most=MAX_IDS),
        only=fields.ids("only", at_most=MAX_IDS) if "only" in fields else None,
        include_rated=fields.flag("include_rated"),
        strategy=fields.choice("strategy", STRATEGIES) if "strategy" in fields else None,
        deadline=fields.integer("deadline", low=0, high=MAX_TIME_MS) if "deadline" in fields else None,
        explain=fields.flag("explain"),
    )


def _limit(field: str, unit: str, found: int, limit: int, flag: str) -> None:
    if found > limit:
        fault = f"expected at most {limit} {unit}, got {found}; the limit is the worker's setting {flag}"
        raise RequestTooHeavy(field, fault)


def _history(fields: Fields) -> tuple[RatedItem, ...]:
    """Return an inline history: at once if all is as usual, entry by entry if not, or to name a fault."""
    try:
        rated = msgspec.convert(fields.entries("history", at_most=MAX_IDS), tuple[RatedItem, ...])
    except msgspec.ValidationError:
        rated = ()
    if rated and all(is_plain_id(one.item) and abs(one.rating) <= MAX_RATING for one in rated):
        return rated
    return history_by_entry(fields)


def history_by_entry(fields: Fields) -> tuple[RatedItem, ...]:
    """Return an inline history, entry by entry.

    Raises:
        BadRecord: it names the first invalid field and its value.
    """
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


def decode_reply_record(record: Record) -> RecommendReply | ErrorReply:
    """Parse a record of ``recommendations``.

    Raises:
        BadRecord: the value is not a reply.
    """
    record.require_headers()
    return decode_reply(record.value)


def encode_reply(reply: RecommendReply | ErrorReply) -> bytes:
    """Return a reply as JSON."""
    return msgspec.json.encode(reply)
