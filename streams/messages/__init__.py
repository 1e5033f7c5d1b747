"""What the bytes of each topic mean: typed records, decoded and encoded here and nowhere else.

Any bytes decode or raise ``BadRecord``, which names the field at fault and what was found in it.
"""

from streams.messages.features import FeatureRecord, decode_item, decode_user, encode_features
from streams.messages.headers import ReplyAddress, correlation_id, decode_reply_address, request_headers
from streams.messages.ratings import RatingEvent, decode_rating, decode_ratings, encode_rating
from streams.messages.requests import (
    STRATEGIES,
    ErrorReply,
    RatedItem,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from streams.messages.state import (
    MODEL_KEY,
    ItemCode,
    ModelPointer,
    decode_item_code,
    decode_model_pointer,
    encode_item_code,
    encode_model_pointer,
)

__all__ = [
    "MODEL_KEY",
    "STRATEGIES",
    "ErrorReply",
    "FeatureRecord",
    "ItemCode",
    "ModelPointer",
    "RatedItem",
    "RatingEvent",
    "RecommendReply",
    "RecommendRequest",
    "RecommendedItem",
    "ReplyAddress",
    "correlation_id",
    "decode_item",
    "decode_item_code",
    "decode_model_pointer",
    "decode_rating",
    "decode_ratings",
    "decode_reply",
    "decode_reply_address",
    "decode_request",
    "decode_user",
    "encode_features",
    "encode_item_code",
    "encode_model_pointer",
    "encode_rating",
    "encode_reply",
    "encode_request",
    "request_headers",
]
