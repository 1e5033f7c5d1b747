"""Writes to `served` what sampled users were shown and what they then rated, for the observer.

Users are sampled by a hash of their id, so that all lists and ratings of a user are in the sample or none is.
The hash does not depend on the share: a smaller share samples a part of the users of a larger one.
"""

import hashlib
from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from dch.data.times import FIRST_MS
from dch.state.histories import Events
from dch.state.state import State
from streams import topics
from streams.kafka.outbox import Outbox
from streams.kafka.records import Output, Record
from streams.messages import (
    ErrorReply,
    RatingEvent,
    RecommendReply,
    ServedList,
    ServedRating,
    cohort_of,
    encode_served,
)
from streams.settings import WorkerSettings
from streams.worker.context import now_ms

UNDECIDED, LEFT_OUT, SAMPLED = 0, 1, 2


def is_sampled(user: str, share: float) -> bool:
    """Return whether a user is among this share of all users."""
    digest = hashlib.blake2b(user.encode(), digest_size=4, person=b"dch-served").digest()
    return int.from_bytes(digest) < share * 2**32  # a checksum would take runs of similar ids unevenly


class ServedSample:
    """Writes the lists and ratings of sampled users. Each thread has its own."""

    def __init__(self, settings: WorkerSettings, outbox: Outbox) -> None:
        self._share = settings.served_share
        self._topic = settings.topic(topics.SERVED.name)
        self._outbox = outbox
        self._decided = np.zeros(0, np.uint8)  # by user row, so that a batch is decided without its ids

    def note_list(self, state: State, request: Record, reply: RecommendReply | ErrorReply) -> None:
        """Write the list that a request was answered with, if it was for a sampled user."""
        if isinstance(reply, ErrorReply) or reply.user is None or not is_sampled(reply.user, self._share):
            return
        items = tuple(hit.item for hit in reply.items)
        is_new, popularity = state.newness_and_popularity(items)
        served = ServedList(
            user=reply.user,
            partition=request.partition,
            offset=request.offset,
            time=_sent_at(request, now_ms()),
            items=items,
            new_items=int(is_new.sum()),
            popularity=int(popularity.sum()),
            catalogue=state.n_item_codes,
            strategy=reply.strategy,
            generation=reply.generation,
            cohort=cohort_of(reply.ratings or 0),
            generation_hash=reply.generation_hash or "",
        )
        self._send(served)

    def note_ratings(
        self,
        state: State,
        records: Sequence[Record],
        events: Sequence[RatingEvent],
        rows: Events,
        live: NDArray[np.bool_],
    ) -> None:
        """Write the live ratings of sampled users. Withdrawals, and ratings that are forgotten, are none.

        Args:
            state: the state that the ratings were folded in to.
            records: n records of `ratings`.
            events: (n,) what they hold.
            rows: (n,) the same as columns.
            live: (n,) which are live.
        """
        if not self._share or not live.any():
            return
        chosen = live & ~np.isnan(rows.ratings) & self._are_sampled(state, rows.users)
        chosen &= rows.timestamps > state.forgotten_before(rows.users)
        positive_from, now = state.model.positive_from, now_ms()
        for record, event in compress(zip(records, events, strict=True), chosen):
            assert event.rating is not None, "withdrawals are left out above"
            rating = ServedRating(
                user=event.user,
                partition=record.partition,
                offset=record.offset,
                time=_sent_at(record, now),
                item=event.item,
                liked=event.rating >= positive_from,
            )
            self._send(rating)

    def _send(self, served: ServedList | ServedRating) -> None:
        self._outbox.send(Output(self._topic, served.user.encode(), encode_served(served)))

    def _are_sampled(self, state: State, users: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which user rows are sampled, (n,). Each user is hashed once."""
        users_met = state.known_users()
        if (missing := len(users_met) - len(self._decided)) > 0:
            room = max(missing, len(self._decided) // 4)
            self._decided = np.concatenate([self._decided, np.zeros(room, np.uint8)])
        for row in set(users[self._decided[users] == UNDECIDED].tolist()):
            self._decided[row] = SAMPLED if is_sampled(users_met[row], self._share) else LEFT_OUT
        chosen: NDArray[np.bool_] = self._decided[users] == SAMPLED
        return chosen


def _sent_at(record: Record, now: int) -> int:
    """Return when a record was sent, in ms since 1970: by its own time, unless that is wrong or to come."""
    return min(record.timestamp_ms, now) if record.timestamp_ms >= FIRST_MS else now
