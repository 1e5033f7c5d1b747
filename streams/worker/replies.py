"""Make the reply to a request, and find its reply topic. Nothing here sends records."""

from collections.abc import Sequence
from functools import partial

import msgspec

from dch.answers import Answer, Hit
from dch.errors import DchError
from dch.queries import Query, query_history, query_item, query_user
from dch.questions import Question
from dch.recommender import Recommender
from dch.state.state import State
from streams import topics
from streams.errors import BadRecord
from streams.kafka.records import Output, Record
from streams.messages import (
    ErrorReply,
    RatedReason,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    decode_reply_address,
    encode_reply,
)
from streams.messages.headers import ReplyAddress, echoed
from streams.settings import WorkerSettings


def reply_to(
    recommender: Recommender, request: RecommendRequest, staleness_s: float
) -> RecommendReply | ErrorReply:
    """Answer a request; the reply is an error if it cannot be answered, such as for an unknown item."""
    return replies_to(recommender, [request], staleness_s)[0]


def replies_to(
    recommender: Recommender, requests: Sequence[RecommendRequest], staleness_s: float
) -> list[RecommendReply | ErrorReply]:
    """Answer several requests as ``reply_to`` answers each; their searches share one pass over the codes."""
    asked = [_question(recommender, request) for request in requests]
    answers = iter(recommender.answer_all([one for one in asked if not isinstance(one, ErrorReply)]))
    return [
        one if isinstance(one, ErrorReply) else _reply(recommender, request, next(answers), staleness_s)
        for one, request in zip(asked, requests, strict=True)
    ]


def _question(recommender: Recommender, request: RecommendRequest) -> Question | ErrorReply:
    try:
        return recommender.question(
            _query(recommender, request),
            request.k,
            strategy=request.strategy,  # type: ignore[arg-type] # checked when the request was decoded
            exclude=request.exclude,
            only=request.only,
            include_rated=request.include_rated,
            new_item_share=None if request.similar_to is None else 0.0,  # not for similar items
        )
    except DchError as error:
        return ErrorReply(str(error))


def _reply(
    recommender: Recommender, request: RecommendRequest, found: Answer, staleness_s: float
) -> RecommendReply:
    return RecommendReply(
        user=request.user,
        items=tuple(_item(recommender.state, hit) for hit in found.hits),
        generation=found.generation,
        strategy=found.strategy,
        staleness_s=staleness_s,
        code=None if found.code is None else found.code.hex(),
        ratings=found.ratings,
        generation_hash=found.generation_hash or None,
    )


def _item(state: State, hit: Hit) -> RecommendedItem:
    because = tuple(RatedReason(item, share, _title(state, item)) for item, share in hit.because)
    return RecommendedItem(hit.item, hit.distance, hit.score, _title(state, hit.item), because)


def address_of(settings: WorkerSettings, request: Record) -> ReplyAddress:
    """Return where the reply to a request goes.

    Raises:
        BadRecord: the headers are malformed, or name a topic that replies may not go to.
    """
    address = decode_reply_address(request.headers)
    topic = settings.topic(topics.RECOMMENDATIONS.name) if address.topic is None else address.topic
    if address.topic is not None and not settings.may_reply_to(topic):
        allowed = ", ".join(settings.prefix + name for name in settings.reply_prefixes)
        raise BadRecord(
            "header kafka_replyTopic",
            f"expected a topic that begins with one of {allowed}, got {topic[:60]!r}",
            reason="header",
        )
    return ReplyAddress(topic, address.partition, address.headers)


def reply_record(address: ReplyAddress, request: Record, reply: RecommendReply | ErrorReply) -> Output:
    """Return the record of a reply. It has the key of the request; see ``smaller`` for one too large."""
    return Output(
        topic=address.topic or "",
        key=request.key,
        value=encode_reply(reply),
        partition=address.partition,
        headers=address.headers,
        if_refused=partial(smaller, address, request, reply) if isinstance(reply, RecommendReply) else None,
    )


def smaller(address: ReplyAddress, request: Record, reply: RecommendReply) -> Output:
    """Return the record of a reply that is too large for its topic: with ids and scores only, or an error."""
    if any(hit.title or hit.because for hit in reply.items):
        items = tuple(msgspec.structs.replace(hit, title=None, because=()) for hit in reply.items)
        return reply_record(address, request, msgspec.structs.replace(reply, items=items))
    fault = f"the reply with {len(reply.items)} items is too large for its topic; ask for a smaller k"
    return reply_record(address, request, ErrorReply(fault))


def error_record(settings: WorkerSettings, request: Record, reason: BadRecord) -> Output:
    """Return the record of the error reply to a bad request.

    It goes to the reply topic of the request, or to the default one if that topic is not allowed.
    """
    try:
        address = address_of(settings, request)
    except BadRecord:
        address = ReplyAddress(settings.topic(topics.RECOMMENDATIONS.name), None, echoed(request.headers))
    return reply_record(address, request, ErrorReply(str(reason)))


def _query(recommender: Recommender, request: RecommendRequest) -> Query:
    if request.user is not None:
        return query_user(recommender.state, request.user, explain=request.explain)
    if request.similar_to is not None:
        return query_item(recommender.state, request.similar_to)
    history = [(one.item, one.rating) for one in request.history or ()]
    return query_history(recommender.state, history, explain=request.explain)


def _title(state: State, item: str) -> str | None:
    known = state.item_features(item) or {}
    found = known.get("title") or known.get("name")
    return found if isinstance(found, str) else None
