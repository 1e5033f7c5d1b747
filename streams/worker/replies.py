"""From a request to its reply: pure, but for what the recommender knows."""

from collections.abc import Mapping

from dch.answers import Answer, Query, query_history, query_item, query_user
from dch.errors import DchError
from dch.recommender import Recommender
from streams import topics
from streams.errors import BadRecord
from streams.kafka.records import Output, Record
from streams.messages import (
    ErrorReply,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    decode_reply_address,
    encode_reply,
)
from streams.messages.headers import ReplyAddress, echoed
from streams.settings import WorkerSettings

TITLES = ("title", "name")


def reply_to(recommender: Recommender, request: RecommendRequest, staleness_s: float) -> RecommendReply:
    """Answer a request.

    Raises:
        DchError: it asks for something that cannot be, such as items similar to an unknown one.
    """
    found: Answer = recommender.answer(
        _query(recommender, request),
        request.k,
        strategy=request.strategy,  # type: ignore[arg-type] # checked when the request was decoded
        exclude=request.exclude,
        only=request.only,
        include_rated=request.include_rated,
        new_item_share=None if request.similar_to is None else 0.0,  # likeness is no matter of policy
    )
    ids, features = recommender.state.history.item_ids, recommender.state.history.item_features
    return RecommendReply(
        user=request.user,
        items=tuple(
            RecommendedItem(item, distance, score, _title(features.get(ids.row(item))))
            for item, distance, score in found.hits
        ),
        generation=found.generation,
        strategy=found.strategy,
        staleness_s=staleness_s,
        code=None if found.code is None else found.code.hex(),
    )


def try_reply_to(
    recommender: Recommender, request: RecommendRequest, staleness_s: float
) -> RecommendReply | ErrorReply:
    """Answer a request, or say why it cannot be answered."""
    try:
        return reply_to(recommender, request, staleness_s)
    except DchError as error:
        return ErrorReply(str(error))


def _query(recommender: Recommender, request: RecommendRequest) -> Query:
    if request.user is not None:
        return query_user(recommender.state, request.user)
    if request.similar_to is not None:
        return query_item(recommender.state, request.similar_to)
    return query_history(recommender.state, [(at.item, at.rating) for at in request.history or ()])


def _title(features: Mapping[str, object] | None) -> str | None:
    found = (features or {}).get(TITLES[0]) or (features or {}).get(TITLES[1])
    return found if isinstance(found, str) else None


def address_of(settings: WorkerSettings, record: Record) -> ReplyAddress:
    """Return where the reply to a request goes.

    Raises:
        BadRecord: the headers are malformed, or name a topic where replies may not go.
    """
    address = decode_reply_address(record.headers)
    if address.topic is None:
        topic = settings.topic(topics.RECOMMENDATIONS.name)
        return ReplyAddress(topic, address.partition, address.headers)
    if not settings.may_reply_to(address.topic):
        allowed = ", ".join(settings.prefix + name for name in settings.reply_prefixes)
        raise BadRecord(
            "header kafka_replyTopic",
            f"expected a topic that begins with one of {allowed}, got {address.topic[:60]!r}",
            reason="header",
        )
    return address


def output_of(address: ReplyAddress, request: Record, reply: RecommendReply | ErrorReply) -> Output:
    """Return the record of a reply; its key is the request's."""
    return Output(
        topic=address.topic or "",
        key=request.key,
        value=encode_reply(reply),
        partition=address.partition,
        headers=address.headers,
    )


def error_output(settings: WorkerSettings, request: Record, reason: BadRecord) -> Output:
    """Return the error reply to a bad request: to where it asked for if it may, else to the default topic."""
    try:
        address = address_of(settings, request)
    except BadRecord:
        address = ReplyAddress(settings.topic(topics.RECOMMENDATIONS.name), None, echoed(request.headers))
    return output_of(address, request, ErrorReply(str(reason)))
