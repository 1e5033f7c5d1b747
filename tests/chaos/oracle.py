"""What is right: the fold of the library, and which records deserve a dead letter."""

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping

from streams.errors import BadRecord, RequestTooHeavy
from streams.kafka.records import Record
from streams.messages import (
    DECODERS,
    FeatureRecord,
    RequestLimits,
    decode_item,
    decode_rating,
    decode_request,
    decode_user,
)
from tests.streams.world import Expected

REAL_ITEM = re.compile(r"i\d+")
"""Ids of items that no mutated record names."""


class Fold:
    """What the library alone makes of the topics `ratings`, `users` and `items`.

    Features are left out: no real user or item has any.

    Args:
        model: the model in service.
        users: all records of `users`.
        items: all records of `items`.
        ratings: all records of `ratings`.
        owner_of: from a user id to the partition that owns it.
    """

    def __init__(self, model, users, items, ratings, owner_of) -> None:
        self.recommender = Expected(model)
        forgotten = tombstones(users, decode_user)
        for item, time_ms in tombstones(items, decode_item).items():
            self.recommender.state.set_item(item, None, time_ms)
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


def tombstones(records: Iterable[Record], decode: Callable[[Record], FeatureRecord]) -> Mapping[str, int]:
    """Return the time of the latest tombstone of each id, in milliseconds since 1970."""
    found: dict[str, int] = {}
    for record in records:
        with contextlib.suppress(BadRecord):
            one = decode(record)
            if one.features is None:
                found[one.id] = max(record.timestamp_ms, found.get(one.id, -1))
    return found


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
