"""The state behind a recommender: what is known, and the snapshot that is served. The writing half.

One thread writes. Readers hold the lock only to copy one user's state, and the writer only for a few events
at a time, so neither waits long.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import UNKNOWN
from dch.models.model import Model
from dch.state.encoder import Side, forget, learn_all, release
from dch.state.histories import Events, Histories
from dch.state.prequential import NOT_TRIED, Ranks, rank_then_learn
from dch.state.snapshot import History, Snapshot, prepare

EVENTS_PER_LOCK = 64
"""Events folded in between two releases of the lock: about a millisecond, so that no reader waits longer."""

ROWS_PER_LOCK = 256
"""Codes made between two releases of the lock: about a millisecond, too."""

NO_ROWS = np.empty(0, np.int32)


class State:
    """History, and the snapshot of the generation in service."""

    def __init__(self, model: Model) -> None:
        self.history = History.empty()
        self.snapshot = prepare(model, self.history)
        self.lock = threading.Lock()
        self._changed_items: list[NDArray[np.int32]] = []
        self._n_folded = 0
        self.newest_ms = 0

    @property
    def nbytes(self) -> int:
        """Bytes of histories, sums and codes; ids are Python strings and not counted."""
        return self.history.nbytes + self.snapshot.nbytes

    def prepare(self, model: Model) -> Snapshot:
        """Encode everything known with another model, beside the one in service. For the writing thread."""
        return prepare(model, self.history)

    def swap(self, snapshot: Snapshot) -> None:
        """Serve the new snapshot from the next request on."""
        self.snapshot = snapshot  # one reference: readers see the old one or the new one

    def events(
        self,
        users: Sequence[str],
        items: Sequence[str],
        ratings: Sequence[float],
        timestamps: Sequence[int],
        offsets: Sequence[int] | None = None,
    ) -> Events:
        """Turn columns of ids into events, giving rows to new ids."""
        return Events(
            self.history.user_ids.intern_many(users),
            self.history.item_ids.intern_many(items),
            np.array(ratings, np.float32),
            np.array(timestamps, np.int64),
            self.places(len(users)) if offsets is None else np.array(offsets, np.int64),
        )

    def fold_in_users(self, events: Events, trials: NDArray[np.bool_] | None = None) -> Ranks:
        """Fold events into the user side, in order; rank those to be tried just before learning them.

        Returns:
            Ranks of the item in the user's list (strategy ``codes+rerank``) and in the popular list, (n,)
            each, from 0: NOT_TRIED where trials is False, the user knew the item, or it cannot be
            recommended; OUTSIDE where it is not among the candidates.
        """
        n = len(events)
        ranks = Ranks(np.full(n, NOT_TRIED, np.int32), np.full(n, NOT_TRIED, np.int32))
        touched: list[NDArray[np.int32]] = []
        for start in range(0, n, EVENTS_PER_LOCK):
            stop = min(start + EVENTS_PER_LOCK, n)
            part = events.part(start, stop)
            with self.lock:
                self._reserve(len(part))
                users, pairs = self.snapshot.users, self.history.user_histories.pairs
                columns = (part.users, part.items, part.ratings, part.timestamps, part.offsets)
                if trials is None or not trials[start:stop].any():
                    changed = learn_all(pairs, users.inputs(), *columns)
                else:
                    changed = rank_then_learn(
                        pairs,
                        users.inputs(),
                        users.tower.head(),
                        self.snapshot.catalogue.view(),
                        *columns,
                        trials[start:stop],
                        Ranks(*(ranked[start:stop] for ranked in ranks)),
                    )
            touched.append(part.users[changed])
        self.newest_ms = max(self.newest_ms, int(events.timestamps.max(initial=0)))
        self._encode_users(np.unique(np.concatenate([NO_ROWS, *touched])))
        return ranks

    def fold_in_items(self, events: Events) -> None:
        """Fold events into the item side; the items get their new codes at ``refresh_items``."""
        for start in range(0, len(events), EVENTS_PER_LOCK):
            part = events.part(start, start + EVENTS_PER_LOCK)
            with self.lock:
                self._reserve(len(part))
                items, pairs = self.snapshot.items, self.history.item_histories.pairs
                columns = (part.items, part.users, part.ratings, part.timestamps, part.offsets)
                changed = learn_all(pairs, items.inputs(), *columns)
            self._changed_items.append(part.items[changed])

    def refresh_items(self) -> NDArray[np.int32]:
        """Encode every item that changed since the last call; return their rows, (n,) ascending."""
        rows = np.unique(np.concatenate([NO_ROWS, *self._changed_items]))
        self._changed_items.clear()
        for start in range(0, len(rows), ROWS_PER_LOCK):
            part = rows[start : start + ROWS_PER_LOCK]
            with self.lock:
                self._reserve(0)
                self.snapshot.items.encode(part)
                self.snapshot.catalogue.update(part, self.history.unavailable)
        return rows

    def set_user(self, user: str, features: Features | None, timestamp_ms: int = 0) -> list[str]:
        """Replace what is known of a user beside ratings; None forgets the user.

        Returns:
            The items whose ratings by this user, up to timestamp_ms, were forgotten. Their side of the
            ratings is not touched: withdraw them there by NaN events of the same time.
        """
        with self.lock:
            row = self.history.user_ids.intern(user)
            self._reserve(0)
            gone = self._describe(
                self.snapshot.users,
                self.history.user_histories,
                self.history.user_features,
                row,
                features,
                timestamp_ms,
            )
            self.snapshot.users.encode(np.array([row], np.int32))
        return [self.history.item_ids[item] for item in gone]

    def set_item(self, item: str, features: Features | None, timestamp_ms: int = 0) -> list[str]:
        """Replace what is known of an item beside ratings; None removes it, with its ratings up to then.

        ``"available": false`` keeps the item and its code, and never recommends it.

        Returns:
            The users whose ratings of this item were removed from its history (not from theirs).
        """
        with self.lock:
            row = self.history.item_ids.intern(item)
            self._reserve(0)
            hidden = features is not None and features.get("available") is False
            (self.history.unavailable.add if hidden else self.history.unavailable.discard)(row)
            gone = self._describe(
                self.snapshot.items,
                self.history.item_histories,
                self.history.item_features,
                row,
                features,
                timestamp_ms,
            )
        self._changed_items.append(np.array([row], np.int32))
        return [self.history.user_ids[user] for user in gone]

    def release_users(self, users: Sequence[str]) -> None:
        """Drop everything known of users whom another worker serves from now on."""
        side, history = self.snapshot.users, self.history
        with self.lock:
            self._reserve(0)
            rows = history.user_ids.rows(users)
            rows = rows[rows != UNKNOWN]
            release(history.user_histories.pairs, side.inputs(), rows)
            for row in rows.tolist():
                history.user_features.pop(row, None)
                side.set_features(row, None)
            side.encode(rows)

    def release_items(self, items: Sequence[str]) -> None:
        """Drop the ratings of items that another worker encodes from now on; codes and features stay."""
        history = self.history
        with self.lock:
            self._reserve(0)
            rows = history.item_ids.rows(items)
            rows = rows[rows != UNKNOWN]
            pairs = history.item_histories.pairs
            forgotten_before = pairs.forgotten_before[rows]
            release(pairs, self.snapshot.items.inputs(), rows)
            pairs.forgotten_before[rows] = forgotten_before

    def _reserve(self, n_events: int) -> None:
        self.history.reserve(n_events)
        self.snapshot.users.reserve()
        self.snapshot.items.reserve()

    def places(self, n: int) -> NDArray[np.int64]:
        """Return n new offsets for events that come from no log, (n,)."""
        self._n_folded += n
        return np.arange(self._n_folded - n, self._n_folded, dtype=np.int64)

    def _describe(
        self,
        side: Side,
        histories: Histories,
        known: dict[int, Features],
        row: int,
        features: Features | None,
        timestamp_ms: int,
    ) -> list[int]:
        """Set the features of a row, or forget it; return the other rows whose ratings were forgotten."""
        side.set_features(row, features)
        if features is not None:
            known[row] = features
            return []
        known.pop(row, None)
        gone: list[int] = forget(histories.pairs, side.inputs(), row, timestamp_ms).tolist()
        return gone

    def _encode_users(self, rows: NDArray[np.int32]) -> None:
        for start in range(0, len(rows), ROWS_PER_LOCK):
            with self.lock:
                self.snapshot.users.encode(rows[start : start + ROWS_PER_LOCK])
