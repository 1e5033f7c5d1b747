"""Applies records of `ratings` to users, and of `item-ratings` to items.

Each rating event is folded in twice, since the owner of its user and the owner of its item may be different
workers. The first applies the record of `ratings` and publishes the event again on `item-ratings`, keyed by
item; the second applies that record.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from dch.state.histories import Events
from dch.state.state import State
from streams import topics
from streams.errors import BadRecord
from streams.kafka.outbox import Outbox
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.messages import RatingEvent, decode_ratings
from streams.messages.item_ratings import ItemRating, decode_item_ratings, encode_item_rating
from streams.metrics import EVENT_TO_VISIBLE_SECONDS
from streams.settings import WorkerSettings
from streams.worker.assignment import Assignment
from streams.worker.context import WorkerContext
from streams.worker.counters import count_events, observe_ages
from streams.worker.models import ModelSwapper
from streams.worker.served import ServedSample


@dataclass(frozen=True)
class RatingBatch:
    """Records of `ratings`, split by what has to be done with them."""

    records: list[Record]
    """Records to apply, in order."""

    events: list[RatingEvent]
    """Their rating events, of the same length."""

    bad: list[tuple[Record, BadRecord]]
    """Records for the dead letters, with the reasons."""

    misrouted: list[tuple[Record, str, int]]
    """Records to repartition: each with its user id and the partition that owns the user."""


class RatingProcessor:
    """Applies batches of ratings. Only the ingest thread uses it."""

    def __init__(
        self,
        context: WorkerContext,
        state: State,
        assignment: Assignment,
        models: ModelSwapper,
        outbox: Outbox,
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._state = state
        self._assignment = assignment
        self._models = models
        self._outbox = outbox
        self._served = ServedSample(context.settings, outbox)

    def apply(self, records: Sequence[Record]) -> None:
        """Fold records of `ratings` into user histories, and publish the live ones on `item-ratings`."""
        if not records:
            return
        batch = split_ratings(records, self._settings.partitions)
        self._send_dead_letters(batch.bad)
        self._repartition(batch.misrouted)
        live = self._assignment.are_live(batch.records)
        offsets = [record.offset for record in batch.records]
        events = to_events(self._state, batch.events, offsets)
        partitions = np.array([record.partition for record in batch.records], np.int64)
        trials = self._models.trials
        ranks = self._state.fold_in_users(events, trials.choose(events, partitions, live))
        trials.count(ranks, self._state.cohorts(events))
        trials.share.adjust(self._state.trial_seconds)
        self._publish_item_ratings(batch, events, live)
        self._served.note_ratings(self._state, batch.records, batch.events, events, live)
        self._update_metrics(records[0].topic, batch.records, live)

    def apply_item_ratings(self, records: Sequence[Record]) -> None:
        """Fold records of `item-ratings` into item histories."""
        if not records:
            return
        found, bad = split_item_ratings(records)
        self._send_dead_letters(bad)
        self._state.fold_in_items(to_events(self._state, found, [rating.offset for rating in found]))
        count_events(self._settings, records[0].topic, applied=len(found))

    def _send_dead_letters(self, bad: Sequence[tuple[Record, BadRecord]]) -> None:
        live = self._assignment.are_live([record for record, _ in bad])
        for record, reason in compress(bad, live):
            self._outbox.dead_letter(record, reason)

    def _repartition(self, misrouted: Sequence[tuple[Record, str, int]]) -> None:
        live = self._assignment.are_live([record for record, _, _ in misrouted])
        for record, user, owner in compress(misrouted, live):
            self._outbox.repartition(record, owner, user.encode())

    def _publish_item_ratings(self, batch: RatingBatch, events: Events, live: NDArray[np.bool_]) -> None:
        """Send live events to the owners of their items; forgotten ones as withdrawals.

        A rating from before its user was forgotten does not count for the user, so it must not count for the
        item. Skipping it is not enough: a worker that was killed before its commit may have sent it already.
        """
        forgotten_before = self._state.forgotten_before(events.users)
        is_forgotten = events.timestamps <= forgotten_before
        for at in np.flatnonzero(live).tolist():
            event = batch.events[at]
            if is_forgotten[at]:
                event = RatingEvent(event.user, event.item, None, int(forgotten_before[at]))
            self._outbox.send(item_rating(self._settings, event, batch.records[at].offset))

    def _update_metrics(self, topic: str, records: Sequence[Record], live: NDArray[np.bool_]) -> None:
        n_live = int(live.sum())
        count_events(self._settings, topic, applied=n_live, replayed=len(live) - n_live)
        if n_live:
            observe_ages(EVENT_TO_VISIBLE_SECONDS, list(compress(records, live)))
        newest = max((record.timestamp_ms for record in records), default=0)
        self._context.newest_published_ms = max(self._context.newest_published_ms, newest)


def split_ratings(records: Sequence[Record], n_partitions: int) -> RatingBatch:
    """Decode records of `ratings` and split them.

    The user id in the value determines the owner partition: the partition in which a record was found depends
    on its producer's partitioner.
    """
    decoded = decode_ratings(records)
    good = [type(event) is RatingEvent for event in decoded]
    bad = [(record, event) for record, event in zip(records, decoded, strict=True) if _is_bad(event)]
    kept = list(compress(records, good)) if bad else list(records)
    events: list[RatingEvent] = list(compress(decoded, good))  # type: ignore[arg-type]
    owners = [partition_for(event.user.encode(), n_partitions) for event in events]
    misrouted = [
        (record, event.user, owner)
        for record, event, owner in zip(kept, events, owners, strict=True)
        if owner != record.partition
    ]
    if misrouted:
        is_ours = [owner == record.partition for record, owner in zip(kept, owners, strict=True)]
        kept, events = list(compress(kept, is_ours)), list(compress(events, is_ours))
    return RatingBatch(kept, events, bad, misrouted)  # type: ignore[arg-type]


def split_item_ratings(
    records: Sequence[Record],
) -> tuple[list[ItemRating], list[tuple[Record, BadRecord]]]:
    """Decode records of `item-ratings`; return those to apply, and the bad ones with their reasons."""
    decoded = decode_item_ratings(records)
    bad = [(record, event) for record, event in zip(records, decoded, strict=True) if _is_bad(event)]
    return [event for event in decoded if not _is_bad(event)], bad  # type: ignore[misc,return-value]


def item_rating(settings: WorkerSettings, event: RatingEvent, offset: int) -> Output:
    """Return the record of `item-ratings` for a rating event; the offset is that of the event's record."""
    return Output(
        topic=settings.topic(topics.ITEM_RATINGS.name),
        key=(key := event.item.encode()),
        value=encode_item_rating(ItemRating(event.user, event.item, event.rating, event.timestamp, offset)),
        partition=partition_for(key, settings.partitions),
    )


def to_events(
    state: State, ratings: Sequence[RatingEvent] | Sequence[ItemRating], offsets: Sequence[int]
) -> Events:
    """Return ratings as columns of rows and values; a rating of None becomes NaN, which withdraws."""
    return state.events(
        [rating.user for rating in ratings],
        [rating.item for rating in ratings],
        [math.nan if rating.rating is None else rating.rating for rating in ratings],
        [rating.timestamp for rating in ratings],
        offsets,
    )


def _is_bad(event: object) -> bool:
    return type(event) is BadRecord
