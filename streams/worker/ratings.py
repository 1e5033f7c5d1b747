"""Applies records of `ratings` to users, and of `item-ratings` to items.

Each rating event is folded in twice, since the owner of its user and the owner of its item may be different
workers. The first applies the record of `ratings` and publishes the event again on `item-ratings`, for the
owner of the item; the second applies that record. Everything is done once per batch, as columns: a call per
record would cost more than folding it in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from dch.state.histories import Events
from dch.state.state import State
from streams import topics
from streams.errors import BadRecord
from streams.kafka.outbox import Outbox
from streams.kafka.records import Output, Record
from streams.messages import RatingEvent, decode_ratings
from streams.messages.item_ratings import ItemRatings, decode_item_ratings, encode_item_ratings, joined
from streams.metrics import EVENT_TO_VISIBLE_SECONDS
from streams.worker.assignment import Assignment
from streams.worker.context import WorkerContext
from streams.worker.counters import count_events, observe_ages
from streams.worker.models import ModelSwapper
from streams.worker.owners import Owners
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
        item_owners: Owners,
        outbox: Outbox,
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._state = state
        self._assignment = assignment
        self._models = models
        self._outbox = outbox
        self._served = ServedSample(context.settings, outbox)
        self._user_owners = Owners(state.known_users, self._settings.partitions)
        self._item_owners = item_owners
        self._item_ratings = self._settings.topic(topics.ITEM_RATINGS.name)

    def apply(self, records: Sequence[Record]) -> None:
        """Fold records of `ratings` into user histories, and publish the live ones on `item-ratings`."""
        if not records:
            return
        batch = split_ratings(records, self._owners_of)
        self._send_dead_letters(batch.bad)
        self._repartition(batch.misrouted)
        partitions = np.array([record.partition for record in batch.records], np.int64)
        offsets = np.array([record.offset for record in batch.records], np.int64)
        live = self._assignment.are_live_at(records[0].topic, partitions, offsets)
        columns = columns_of(batch.events, offsets)
        events = to_events(self._state, columns)
        trials = self._models.trials
        ranks = self._state.fold_in_users(events, trials.choose(events, partitions, live))
        trials.count(ranks, self._state.cohorts(events))
        trials.share.adjust(self._state.trial_seconds)
        self._publish_item_ratings(columns, events, live)
        self._served.note_ratings(self._state, batch.records, batch.events, events, live)
        self._update_metrics(records[0].topic, batch.records, live)

    def apply_item_ratings(self, records: Sequence[Record]) -> None:
        """Fold records of `item-ratings` into item histories."""
        if not records:
            return
        found, bad = split_item_ratings(records)
        self._send_dead_letters(bad)
        self._state.fold_in_items(to_events(self._state, found))
        count_events(self._settings, records[0].topic, applied=len(found))

    def users_of(self, partitions: frozenset[int]) -> list[str]:
        """Return the ids of the known users that belong to these partitions."""
        return self._user_owners.ids_of(partitions)

    def _owners_of(self, users: Sequence[str]) -> NDArray[np.int32]:
        return self._user_owners.of(self._state.user_rows(users), users)

    def _send_dead_letters(self, bad: Sequence[tuple[Record, BadRecord]]) -> None:
        live = self._assignment.are_live([record for record, _ in bad])
        for record, reason in compress(bad, live):
            self._outbox.dead_letter(record, reason)

    def _repartition(self, misrouted: Sequence[tuple[Record, str, int]]) -> None:
        live = self._assignment.are_live([record for record, _, _ in misrouted])
        for record, user, owner in compress(misrouted, live):
            self._outbox.repartition(record, owner, user.encode())

    def _publish_item_ratings(self, columns: ItemRatings, events: Events, live: NDArray[np.bool_]) -> None:
        """Send live events to the owners of their items; forgotten ones as withdrawals.

        A rating from before its user was forgotten does not count for the user, so it must not count for the
        item. Skipping it is not enough: a worker that was killed before its commit may have sent it already.
        """
        forgotten_before = self._state.forgotten_before(events.users)
        for at in np.flatnonzero(live & (events.timestamps <= forgotten_before)).tolist():
            columns.ratings[at], columns.timestamps[at] = None, int(forgotten_before[at])
        owners = np.where(live, self._item_owners.all()[events.items], -1)
        for owner in np.unique(owners[live]).tolist():
            part = columns.chosen(np.flatnonzero(owners == owner).tolist())
            for value in encode_item_ratings(part):
                self._outbox.send(Output(self._item_ratings, None, value, owner))

    def _update_metrics(self, topic: str, records: Sequence[Record], live: NDArray[np.bool_]) -> None:
        n_live = int(live.sum())
        times = np.array([record.timestamp_ms for record in records], np.int64)
        count_events(self._settings, topic, applied=n_live, replayed=len(live) - n_live)
        if n_live:
            observe_ages(EVENT_TO_VISIBLE_SECONDS, compress(records, live), times[live])
        newest = int(times.max(initial=0))
        self._context.newest_published_ms = max(self._context.newest_published_ms, newest)


def split_ratings(
    records: Sequence[Record], owners_of: Callable[[Sequence[str]], NDArray[np.int32]]
) -> RatingBatch:
    """Decode records of `ratings` and split them.

    The user id in the value determines the owner partition: the partition in which a record was found depends
    on its producer's partitioner.

    Args:
        records: n records.
        owners_of: returns the owner partition of each user id.
    """
    decoded = decode_ratings(records)
    good = [type(event) is RatingEvent for event in decoded]
    bad: list[tuple[Record, BadRecord]] = []
    kept, events = list(records), decoded
    if not all(good):
        bad = [(record, event) for record, event in zip(records, decoded, strict=True) if _is_bad(event)]  # type: ignore[misc]
        kept, events = list(compress(records, good)), list(compress(decoded, good))
    return _without_misrouted(kept, events, bad, owners_of)  # type: ignore[arg-type]


def _without_misrouted(
    records: list[Record],
    events: list[RatingEvent],
    bad: list[tuple[Record, BadRecord]],
    owners_of: Callable[[Sequence[str]], NDArray[np.int32]],
) -> RatingBatch:
    owners = owners_of([event.user for event in events])
    is_ours = owners == np.array([record.partition for record in records], np.int32)
    if is_ours.all():
        return RatingBatch(records, events, bad, [])
    misrouted = [(records[at], events[at].user, int(owners[at])) for at in np.flatnonzero(~is_ours).tolist()]
    return RatingBatch(list(compress(records, is_ours)), list(compress(events, is_ours)), bad, misrouted)


def split_item_ratings(
    records: Sequence[Record],
) -> tuple[ItemRatings, list[tuple[Record, BadRecord]]]:
    """Decode records of `item-ratings`; return the events to apply, and the bad records with reasons."""
    decoded = decode_item_ratings(records)
    bad = [(record, found) for record, found in zip(records, decoded, strict=True) if _is_bad(found)]
    return joined([found for found in decoded if not _is_bad(found)]), bad  # type: ignore[misc,return-value]


def columns_of(events: Sequence[RatingEvent], offsets: NDArray[np.int64]) -> ItemRatings:
    """Return rating events, and the offsets of their records, as columns."""
    return ItemRatings(
        [event.user for event in events],
        [event.item for event in events],
        [event.rating for event in events],
        [event.timestamp for event in events],
        offsets.tolist(),
    )


def to_events(state: State, columns: ItemRatings) -> Events:
    """Return ratings as rows and values; a rating of None becomes NaN, which withdraws."""
    return state.events(
        columns.users,
        columns.items,
        [math.nan if rating is None else rating for rating in columns.ratings],
        columns.timestamps,
        columns.offsets,
    )


def _is_bad(event: object) -> bool:
    return type(event) is BadRecord
