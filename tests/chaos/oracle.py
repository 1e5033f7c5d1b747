"""What is right: the fold of the library, and which records deserve a dead letter."""

import contextlib
import re

from streams.errors import BadRecord, RequestTooHeavy
from streams.messages import DECODERS, RequestLimits, decode_rating, decode_request, decode_user
from tests.streams.world import Expected

REAL_ITEM = re.compile(r"i\d+")
"""Ids of items that no mutated record names."""


class Fold:
    """What the library alone makes of the topics `ratings` and `users`.

    Args:
        model: the model in service.
        users: all records of `users`.
        ratings: all records of `ratings`.
        owner_of: from a user id to the partition that owns it.
    """

    def __init__(self, model, users, ratings, owner_of) -> None:
        self.recommender = Expected(model)
        forgotten: dict[str, int] = {}
        for record in users:
            with contextlib.suppress(BadRecord):
                user = decode_user(record)
                if user.features is None:
                    forgotten[user.id] = max(record.timestamp_ms, forgotten.get(user.id, -1))
        pairs = []
        for record in ratings:
            with contextlib.suppress(BadRecord):
                event = decode_rating(record)
                is_kept = event.timestamp > forgotten.get(event.user, -1)
                if is_kept and owner_of(event.user) == record.partition:
                    pairs.append((event, record.offset))
        self.recommender.fold(pairs)

    def item_codes(self):
        """Return generation, code and number of positive ratings of every real item with a code."""
        return {id_: code for id_, code in self.recommender.item_codes().items() if REAL_ITEM.fullmatch(id_)}


def original_position(letter) -> str:
    """Return the position of the record that a dead letter is about."""
    headers = dict(letter.headers)
    partition = int.from_bytes(headers["kafka_dlt-original-partition"])
    offset = int.from_bytes(headers["kafka_dlt-original-offset"])
    return f"{headers['kafka_dlt-original-topic'].decode()}[{partition}]@{offset}"


def is_bad(name: str, record, limits: RequestLimits) -> bool:
    """Return whether a record deserves a dead letter; a request over a limit gets only an error reply."""
    try:
        decode_request(record, limits) if name == "requests" else DECODERS[name](record)
    except RequestTooHeavy:
        return False
    except BadRecord:
        return True
    return False
