"""Records of `ratings` and `item-ratings`: the two sides on which a rating event is folded in."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dch.state.histories import Events
from dch.state.state import State
from streams.errors import BadRecord
from streams.kafka.records import Output, Record
from streams.messages import RatingEvent
from streams.metrics import EVENT_TO_VISIBLE_SECONDS
from streams.worker.assignment import Share
from streams.worker.batches import Sorted, column_of, offsets_of, sort_item_ratings, sort_ratings
from streams.worker.context import Service
from streams.worker.counters import count_events, observe_ages
from streams.worker.models import Generations
from streams.worker.outputs import forwarded, item_rating


class RatingRecords:
    """Applies batches of ratings. Only the ingest thread uses it."""

    def __init__(
        self,
        service: Service,
        state: State,
        share: Share,
        generations: Generations,
        send: Callable[[Output], None],
        dead_letter: Callable[[Record, BadRecord], None],
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._state = state
        self._share = share
        self._generations = generations
        self._send = send
        self._dead_letter = dead_letter

    def apply(self, records: Sequence[Record]) -> None:
        """Fold records of `ratings` into the user side; what is live goes on to the item side as records."""
        if not records:
            return
        batch = sort_ratings(records, self._settings.partitions)
        self._set_aside(batch)
        partitions = np.array([record.partition for record in batch.records], np.int64)
        offsets = offsets_of(batch.records)
        live = self._share.is_live(records[0].topic, partitions, offsets)
        events = self._state.events(
            [event.user for event in batch.events],
            [event.item for event in batch.events],
            column_of(batch.events),
            [event.timestamp for event in batch.events],
            offsets.tolist(),
        )
        trials = self._generations.trials
        ranks = self._state.fold_in_users(events, trials.choose(events, partitions, live))
        trials.count(ranks, self._state.cohorts(events))
        self._pass_on(batch, events, live)
        self._take_note(records[0].topic, batch, live)

    def apply_items(self, records: Sequence[Record]) -> None:
        """Fold records of `item-ratings` into the item side."""
        if not records:
            return
        found, bad = sort_item_ratings(records)
        topic = records[0].topic
        self._bury(topic, bad)
        events = self._state.events(
            [event.user for event in found],
            [event.item for event in found],
            column_of(found),
            [event.timestamp for event in found],
            [event.offset for event in found],
        )
        self._state.fold_in_items(events)
        count_events(self._service, topic, applied=len(found))

    def _set_aside(self, batch: Sorted) -> None:
        """Send misplaced records home and bad ones to the dead letters; once, so not when replayed."""
        if batch.bad:
            self._bury(batch.bad[0][0].topic, batch.bad)
        if batch.misplaced:
            records = [record for record, _, _ in batch.misplaced]
            live = self._live(records)
            for record, user, home in (
                found for found, new in zip(batch.misplaced, live, strict=True) if new
            ):
                self._send(forwarded(record, home, user.encode()))
            count_events(self._service, records[0].topic, forwarded=int(live.sum()))

    def _bury(self, topic: str, bad: Sequence[tuple[Record, BadRecord]]) -> None:
        live = self._live([record for record, _ in bad])
        for (record, reason), is_live in zip(bad, live.tolist(), strict=True):
            if is_live:
                self._dead_letter(record, reason)

    def _live(self, records: Sequence[Record]) -> NDArray[np.bool_]:
        if not records:
            return np.zeros(0, np.bool_)
        return self._share.is_live(
            records[0].topic, [record.partition for record in records], offsets_of(records)
        )

    def _pass_on(self, batch: Sorted, events: Events, live: NDArray[np.bool_]) -> None:
        """Send live events to the owners of their items; what a tombstone forbids as a withdrawal.

        A rating from before its user was forgotten does not count here, so it may not count there. It may be
        there already: passed on, and not committed when a worker was killed. So silence would not do.
        """
        forgotten_before = self._state.forgotten_before(events.users)
        forbidden = events.timestamps <= forgotten_before
        for at in np.flatnonzero(live).tolist():
            event = batch.events[at]
            if forbidden[at]:
                event = RatingEvent(event.user, event.item, None, int(forgotten_before[at]))
            self._send(item_rating(self._settings, event, batch.records[at].offset))

    def _take_note(self, topic: str, batch: Sorted, live: NDArray[np.bool_]) -> None:
        n_live = int(live.sum())
        count_events(self._service, topic, applied=n_live, replayed=len(live) - n_live)
        if n_live:
            observe_ages(
                EVENT_TO_VISIBLE_SECONDS,
                [record for record, new in zip(batch.records, live.tolist(), strict=True) if new],
            )
        newest = max((record.timestamp_ms for record in batch.records), default=0)
        self._service.newest_published_ms = max(self._service.newest_published_ms, newest)
