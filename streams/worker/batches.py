"""A batch of records of `ratings` or `item-ratings` as columns, what is bad or at home elsewhere apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from streams.errors import BadRecord
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import RatingEvent, decode_ratings
from streams.messages.item_ratings import ItemRating, decode_item_ratings


@dataclass(frozen=True)
class Sorted:
    """A batch of ratings, sorted by what has to be done."""

    records: list[Record]
    """Those to apply, in order."""

    events: list[RatingEvent]
    """What they say, of the same length."""

    bad: list[tuple[Record, BadRecord]]
    misplaced: list[tuple[Record, str, int]]
    """Record, user id, and the partition where it is at home."""


def sort_ratings(records: Sequence[Record], n_partitions: int) -> Sorted:
    """Decode records of `ratings`; the id in the value, not the partition they came by, tells their home."""
    decoded = decode_ratings(records)
    good = [type(event) is RatingEvent for event in decoded]
    bad = [(record, event) for record, event in zip(records, decoded, strict=True) if _is_bad(event)]
    kept = list(compress(records, good)) if bad else list(records)
    events: list[RatingEvent] = list(compress(decoded, good))  # type: ignore[arg-type]
    homes = [partition_for(event.user.encode(), n_partitions) for event in events]
    misplaced = [
        (record, event.user, home)
        for record, event, home in zip(kept, events, homes, strict=True)
        if home != record.partition
    ]
    if misplaced:
        at_home = [home == record.partition for record, home in zip(kept, homes, strict=True)]
        kept, events = list(compress(kept, at_home)), list(compress(events, at_home))
    return Sorted(kept, events, bad, misplaced)  # type: ignore[arg-type]


def sort_item_ratings(
    records: Sequence[Record],
) -> tuple[list[ItemRating], list[tuple[Record, BadRecord]]]:
    """Decode records of `item-ratings` into those to apply and the bad ones."""
    decoded = decode_item_ratings(records)
    bad = [(record, event) for record, event in zip(records, decoded, strict=True) if _is_bad(event)]
    return [event for event in decoded if not _is_bad(event)], bad  # type: ignore[misc,return-value]


def _is_bad(event: object) -> bool:
    return type(event) is BadRecord


def column_of(events: Sequence[RatingEvent] | Sequence[ItemRating]) -> list[float]:
    """Return the ratings; NaN where one is withdrawn."""
    return [math.nan if event.rating is None else event.rating for event in events]


def offsets_of(records: Sequence[Record]) -> NDArray[np.int64]:
    """Return the offsets, (n,)."""
    return np.array([record.offset for record in records], np.int64)
