"""Typed messages of every topic, decoded and encoded here and nowhere else.

Decoding returns a valid message or raises ``BadRecord``, which names the invalid field and its value.
"""

from collections.abc import Callable, Mapping

from streams import topics
from streams.kafka.records import Record
from streams.messages.features import FeatureRecord, decode_item, decode_user, encode_features
from streams.messages.headers import ReplyAddress, correlation_id, decode_reply_address, request_headers
from streams.messages.item_codes import ItemCode, decode_item_code, encode_item_code
from streams.messages.item_ratings import decode_item_rating
from streams.messages.keys import encode_key
from streams.messages.models import (
    ModelPointer,
    decode_model_pointer,
    encode_model_pointer,
    is_followed,
    model_key,
)
from streams.messages.ratings import RatingEvent, decode_rating, decode_ratings, encode_rating
from streams.messages.requests import (
    STRATEGIES,
    ErrorReply,
    RatedItem,
    RatedReason,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    RequestLimits,
    decode_reply,
    decode_reply_record,
    decode_request,
    encode_reply,
    encode_request,
    size_of,
)
from streams.messages.served import (
    ServedList,
    ServedRating,
    cohort_of,
    decode_kept,
    decode_served,
    encode_kept,
    encode_served,
)

__all__ = [
    "DECODERS",
    "STRATEGIES",
    "ErrorReply",
    "FeatureRecord",
    "ItemCode",
    "ModelPointer",
    "RatedItem",
    "RatedReason",
    "RatingEvent",
    "RecommendReply",
    "RecommendRequest",
    "RecommendedItem",
    "ReplyAddress",
    "RequestLimits",
    "ServedList",
    "ServedRating",
    "cohort_of",
    "correlation_id",
    "decode_item",
    "decode_item_code",
    "decode_item_rating",
    "decode_kept",
    "decode_model_pointer",
    "decode_rating",
    "decode_ratings",
    "decode_reply",
    "decode_reply_address",
    "decode_request",
    "decode_served",
    "decode_user",
    "encode_features",
    "encode_item_code",
    "encode_kept",
    "encode_key",
    "encode_model_pointer",
    "encode_rating",
    "encode_reply",
    "encode_request",
    "encode_served",
    "is_followed",
    "model_key",
    "request_headers",
    "size_of",
]

DECODERS: Mapping[str, Callable[[Record], object]] = {
    topics.RATINGS.name: decode_rating,
    topics.USERS.name: decode_user,
    topics.ITEMS.name: decode_item,
    topics.ITEM_RATINGS.name: decode_item_rating,
    topics.ITEM_CODES.name: decode_item_code,
    topics.MODELS.name: decode_model_pointer,
    topics.REQUESTS.name: decode_request,
    topics.RECOMMENDATIONS.name: decode_reply_record,
    topics.SERVED.name: decode_served,
    topics.OBSERVER_CHANGELOG.name: decode_kept,
}
"""The decoder of each topic, by its name without prefix: it returns a message or raises ``BadRecord``."""
