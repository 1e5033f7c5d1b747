"""The state of a recommender: the histories and features, and the snapshot that requests are answered from.

One thread writes. Readers hold the lock only while they copy one user's data, and the writer holds it for a
few events at a time, so neither waits long.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features, availability
from dch.data.ids import UNKNOWN
from dch.models.model import Model
from dch.models.neighbours import Rated
from dch.models.towers import Ints
from dch.search.scan import no_work
from dch.state.changed_rows import ChangedRows
from dch.state.encoder import ROWS_PER_PART, Pause, go_on
from dch.state.fold_in import fold_in_all
from dch.state.histories import Events, History
from dch.state.item_columns import ItemCodes, popularity_of
from dch.state.neighbour_trials import compile_trials, rank_first_trial, rated_by
from dch.state.prequential import NOT_TRIED, Ranks, UsersBefore, copy_then_fold_in, rank_trials
from dch.state.side_data import SideData
from dch.state.snapshot import Snapshot, prepare

EVENTS_PER_LOCK = 256
"""Events folded in before the lock is released: about a millisecond, so that no reader waits longer."""

ROWS_PER_LOCK = 256
"""Feature records taken, or rows released, before the lock is: also about a millisecond."""


class State:
    """The history, and the snapshot of the generation in service."""

    def __init__(self, model: Model) -> None:
        self.history = History.empty()
        self.snapshot = prepare(model, self.history)
        self.lock = threading.Lock()
        self.newest_ms = 0
        """The latest timestamp of all events folded in."""
        self.trial_work = no_work()
        """How many codes trials have compared so far."""
        self.trial_seconds = 0.0
        """Processor time that ranking trials has taken so far."""
        self._changed_items = ChangedRows()
        self._next_offset = 0

    @property
    def nbytes(self) -> int:
        """Memory of histories, sums and codes, in bytes, without the ids, which are Python strings."""
        return self.history.nbytes + self.snapshot.nbytes

    def bytes_by_kind(self) -> dict[str, int]:
        """Return ``nbytes`` by what it holds: codes and sums of users, of items, and the ratings of both."""
        snapshot = self.snapshot
        return {
            "user": snapshot.users.nbytes,
            "item": snapshot.items.nbytes + snapshot.item_index.nbytes,
            "rating": self.history.nbytes,
        }

    @property
    def n_ratings(self) -> int:
        """The number of ratings in the histories of users, including withdrawn ones."""
        return len(self.history.user_histories)

    @property
    def model(self) -> Model:
        """The model of the generation in service."""
        return self.snapshot.model

    def prepare(self, model: Model, pause: Pause = go_on) -> Snapshot:
        """Encode everything known with another model, while the one in service goes on answering.

        For the writing thread. ``pause`` is called several times a second; it may raise to give up.
        """
        return prepare(model, self.history, pause)

    def swap(self, snapshot: Snapshot) -> None:
        """Serve the new snapshot from the next request on."""
        self.snapshot = snapshot  # one reference: a reader gets the old snapshot or the new one

    def events(
        self,
        users: Sequence[str],
        items: Sequence[str],
        ratings: Sequence[float],
        timestamps: Sequence[int],
        offsets: Sequence[int] | None = None,
    ) -> Events:
        """Turn columns of ids into events; new ids get rows.

        Args:
            users: user ids, (n,).
            items: item ids, (n,).
            ratings: (n,), NaN to withdraw.
            timestamps: (n,) in milliseconds since 1970.
            offsets: (n,) offsets in the log; None for events that come from no log.
        """
        return Events(
            self.history.user_ids.intern_many(users),
            self.history.item_ids.intern_many(items),
            np.array(ratings, np.float32),
            np.array(timestamps, np.int64),
            self.next_offsets(len(users)) if offsets is None else np.array(offsets, np.int64),
        )

    def next_offsets(self, n: int) -> NDArray[np.int64]:
        """Return n increasing offsets for events that come from no log, (n,)."""
        start, self._next_offset = self._next_offset, self._next_offset + n
        return np.arange(start, self._next_offset, dtype=np.int64)

    def fold_in_users(self, events: Events, trials: NDArray[np.bool_] | None = None) -> Ranks:
        """Fold events into the user side, in order, and rank the trials just before their events.

        Args:
            events: n events.
            trials: (n,) which events to rank; None ranks none.

        Returns:
            Ranks of the item in the user's list by the default strategy and in the popular list, (n,) each,
            from 0. NOT_TRIED where trials is False, the user has rated the item, or the item cannot be
            recommended; OUTSIDE where the item is not among the candidates.
        """
        n = len(events)
        self._reserve_locked(n)
        ranks = Ranks(np.full(n, NOT_TRIED, np.int32), np.full(n, NOT_TRIED, np.int32))
        for start, stop in self._parts(n, trials):
            part, cut = events.part(start, stop), slice(start, stop)
            before = None
            with self.lock:
                bags, pairs = self.snapshot.users.bags, self.history.user_histories.pairs
                columns = (part.users, part.items, part.ratings, part.timestamps, part.offsets)
                if trials is None or not trials[cut].any():
                    fold_in_all(pairs, bags.arrays(), *columns)
                else:
                    latest = rated_by(self.history, self.snapshot, int(part.users[0]))
                    before = copy_then_fold_in(pairs, bags.arrays(), *columns, trials[cut])
            if before is not None:
                self.snapshot.users.bags.add_features(before.bags, part.users[before.events])
                self._rank(before, latest, part.items, Ranks(ranks.codes[cut], ranks.popular[cut]))
        self.newest_ms = max(self.newest_ms, int(events.timestamps.max(initial=0)))
        return ranks

    def _parts(self, n: int, trials: NDArray[np.bool_] | None) -> Iterable[tuple[int, int]]:
        """Return the bounds of the events that are folded in together.

        With neighbours each trial begins a part, because the latest ratings of its user are taken before it.
        """
        starts = np.arange(0, n, EVENTS_PER_LOCK)
        if trials is not None and not self.model.neighbours.is_empty:
            starts = np.union1d(starts, np.flatnonzero(trials))
        return pairwise([*starts.tolist(), n])

    def _rank(self, before: UsersBefore, latest: Rated, items: Ints, ranks: Ranks) -> None:
        """Rank the items of trials. No lock is needed: only this thread changes the item index."""
        started = time.thread_time()
        served, model = self.snapshot.item_index.served, self.snapshot.model
        users = (before, model.user_tower.head(), model.is_weighted)
        has_neighbours, work = not model.neighbours.is_empty, self.trial_work
        rank_trials(*users, served.columns, *served.popular, items, has_neighbours, ranks, work)
        if has_neighbours:
            rank_first_trial(before, latest, self.snapshot, items, ranks.codes, work)
        self.trial_seconds += time.thread_time() - started

    def compile_trials(self) -> None:
        """Compile or load what trials may need that a trial in a small catalogue does not."""
        compile_trials(self.snapshot)

    def fold_in_items(self, events: Events) -> None:
        """Fold events into the item side; ``refresh_items`` then encodes the items that changed."""
        self._reserve_locked(len(events))
        changed = np.zeros(len(events), np.bool_)
        for start in range(0, len(events), EVENTS_PER_LOCK):
            stop = start + EVENTS_PER_LOCK
            part = events.part(start, stop)
            with self.lock:
                bags, pairs = self.snapshot.items.bags, self.history.item_histories.pairs
                columns = (part.items, part.users, part.ratings, part.timestamps, part.offsets)
                changed[start:stop] = fold_in_all(pairs, bags.arrays(), *columns)
        self._changed_items.add(events.items[changed])

    @property
    def n_changed_items(self) -> int:
        """The number of items that changed and wait for ``refresh_items``."""
        return len(self._changed_items)

    def mark_items_changed(self, rows: Ints) -> None:
        """Have these item rows, (n,), encoded again by ``refresh_items`` although nothing of them changed."""
        self._changed_items.add(rows)

    def refresh_items(self, at_most: int | None = None) -> Ints:
        """Encode and serve the items that changed since they were encoded, oldest change first.

        Args:
            at_most: number of items; None takes all.

        Returns:
            Their rows, (n,) ascending.
        """
        rows, codes = self.encode_changed_items(at_most)
        self.put_item_codes(rows, codes)
        return rows

    def encode_changed_items(self, at_most: int | None = None) -> tuple[Ints, ItemCodes]:
        """Encode the items that changed, as ``refresh_items`` does, but do not serve their codes.

        No lock is needed: only this thread changes or reads what items are encoded from.

        Returns:
            Their rows, (n,) ascending, and a code for each.
        """
        self._reserve_locked(0)
        rows = self._changed_items.take(at_most)
        parts = [
            self.snapshot.items.encode(part)
            for part in np.split(rows, range(ROWS_PER_PART, len(rows), ROWS_PER_PART))
        ]
        return rows, ItemCodes(*map(np.concatenate, zip(*parts, strict=True)))

    def put_item_codes(self, rows: Ints, codes: ItemCodes, snapshot: Snapshot | None = None) -> None:
        """Serve codes of items, all from one moment on.

        Args:
            rows: (n,) distinct item rows.
            codes: one code per row; a row whose code is not present loses the code it had.
            snapshot: a snapshot from ``prepare``; None is the one in service.
        """
        self.change_item_codes(rows, codes, snapshot)
        self.publish_item_codes(snapshot)

    def remove_item_codes(self, rows: Ints) -> None:
        """Stop serving the codes of these item rows, (n,)."""
        self.change_item_codes(rows, None)
        self.publish_item_codes()

    def change_item_codes(
        self, rows: Ints, codes: ItemCodes | None, snapshot: Snapshot | None = None
    ) -> None:
        """Do what ``put_item_codes`` does, but serve it only after ``publish_item_codes``.

        One publication of many changes shows no state between them, and waits for searches once. Without
        codes (None) the rows lose those that they had.
        """
        index = (snapshot or self.snapshot).item_index
        index.change(rows, codes or index.no_codes(len(rows)), self.history.unavailable)

    def publish_item_codes(self, snapshot: Snapshot | None = None) -> None:
        """Have searches read what ``change_item_codes`` changed, if anything."""
        index = (snapshot or self.snapshot).item_index
        if index.has_changes:
            index.publish()

    def set_user(self, user: str, features: Features | None, timestamp_ms: int = 0) -> list[str]:
        """Replace the features of a user; None forgets the user.

        Returns:
            The items whose ratings by this user, up to timestamp_ms, were forgotten. The item side is not
            changed: withdraw the ratings there by NaN events with the same timestamp.
        """
        with self.lock:
            row = self.history.user_ids.intern(user)
            self._reserve(0)
            gone = self._users().describe_all([row], [(features, timestamp_ms)])
        return [self.history.item_ids[item] for item in gone]

    def set_item(self, item: str, features: Features | None, timestamp_ms: int = 0) -> list[str]:
        """Replace the features of an item; None removes the item and its ratings up to timestamp_ms.

        An item with the feature ``"available": false`` keeps its code and is never recommended; see
        ``availability`` for other ways to say so.

        Returns:
            The users whose ratings were removed from the history of the item. The user side is not changed.
        """
        gone = self.set_items([(item, features, timestamp_ms)])
        return [self.history.user_ids[user] for user in gone]

    def set_items(self, records: Sequence[tuple[str, Features | None, int]]) -> list[int]:
        """Replace the features of many items, in order, as ``set_item`` does.

        Args:
            records: item id, features and time in ms of each.

        Returns:
            The rows of the users whose ratings were removed from the history of an item.
        """
        gone: list[int] = []
        for start in range(0, len(records), ROWS_PER_LOCK):
            part = records[start : start + ROWS_PER_LOCK]
            with self.lock:
                rows = self.history.item_ids.intern_many([item for item, _, _ in part])
                self._reserve(0)
                self._note_unavailable(rows, [features for _, features, _ in part])
                gone += self._items().describe_all(rows.tolist(), [(found, at) for _, found, at in part])
            self._changed_items.add(rows)
        return gone

    def _note_unavailable(self, rows: Ints, features: Sequence[Features | None]) -> None:
        for row, found in zip(rows.tolist(), features, strict=True):
            is_hidden = found is not None and availability(found) is False
            (self.history.unavailable.add if is_hidden else self.history.unavailable.discard)(row)

    def release_users(self, users: Sequence[str]) -> None:
        """Drop everything known of users whom another worker serves from now on."""
        for rows in _parts(known_rows(self.history.user_ids.rows(users))):
            with self.lock:
                self._reserve(0)
                self._users().release_ratings(rows)
                self._users().release_features(rows)
        self.history.user_histories.compact()

    def release_items(self, items: Sequence[str]) -> None:
        """Drop the ratings of items that another worker encodes from now on; codes and features stay."""
        for rows in _parts(self.item_rows(items)):
            with self.lock:
                self._reserve(0)
                forgotten_before = self.history.item_histories.pairs.forgotten_before
                kept = forgotten_before[rows]
                self._items().release_ratings(rows)
                forgotten_before[rows] = kept
        self.history.item_histories.compact()

    def known_users(self) -> Sequence[str]:
        """Return the ids of all users met so far, by row."""
        return self.history.user_ids.ids()

    def known_items(self) -> Sequence[str]:
        """Return the ids of all items met so far, by row."""
        return self.history.item_ids.ids()

    def user_rows(self, users: Sequence[str]) -> Ints:
        """Return the rows of users, (n,), UNKNOWN for those that are not known."""
        return self.history.user_ids.rows(users)

    def item_rows(self, items: Sequence[str]) -> Ints:
        """Return the rows of those items that are known, at most (n,)."""
        return known_rows(self.history.item_ids.rows(items))

    def intern_items(self, items: Sequence[str]) -> Ints:
        """Return the rows of items, (n,); new ids get rows."""
        return self.history.item_ids.intern_many(items)

    def item_features(self, item: str) -> Features | None:
        """Return the features of an item; None if none are known. Any thread may call this."""
        return self.history.item_features.get(self.history.item_ids.row(item))

    def n_codes(self) -> tuple[int, int]:
        """Return the number of users and the number of items that have a code in service. O(users)."""
        return self.snapshot.users.n_codes(), self.n_item_codes

    @property
    def n_item_codes(self) -> int:
        """The number of items that have a code in service. O(1)."""
        return len(self.snapshot.item_index)

    def items_with_code(self) -> Ints:
        """Return the rows of the items that have a code in service, (n,) ascending."""
        return self.snapshot.item_index.rows_with_code()

    def item_codes(self, rows: Ints, snapshot: Snapshot | None = None) -> ItemCodes:
        """Return a copy of the codes of these item rows in service, or in a snapshot from ``prepare``."""
        return (snapshot or self.snapshot).item_index.codes(rows)

    def newness_and_popularity(self, items: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """Return whether the fit in service never saw each item, and its popularity, (n,) each.

        Any thread may call this. Items that are not known are new and have popularity 0.
        """
        rows, columns = self.history.item_ids.rows(items), self.snapshot.item_index.view()
        is_new, popularity = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.int32)
        known = (rows != UNKNOWN) & (rows < len(columns.is_new))
        is_new[known] = columns.is_new[rows[known]]
        popularity[known] = popularity_of(columns.precedence[rows[known]])
        return is_new, popularity

    def features_of_user(self, user: str) -> Features | None:
        """Return the features of a user; None for a user without any."""
        return self.history.user_features.get(self.history.user_ids.row(user))

    def forgotten_before(self, users: Ints) -> NDArray[np.int64]:
        """Return the time in ms up to which the ratings of each user row are forgotten, (n,)."""
        return self.history.user_histories.forgotten_before(users)

    def n_raters(self, items: Ints) -> Ints:
        """Return how many users have a rating in the history of each item row, (n,)."""
        return self.history.item_histories.n_live(items)

    def cohorts(self, events: Events) -> NDArray[np.int64]:
        """Return the cohort of each event by the model in service, (n,) positions in ``COHORTS``."""
        with self.lock:
            self._reserve(0)
        user_is_new = self.snapshot.items.bags.token_of[events.users] < 0
        item_is_new = self.snapshot.users.bags.token_of[events.items] < 0
        cohorts: NDArray[np.int64] = 2 * user_is_new.astype(np.int64) + item_is_new
        return cohorts

    def _users(self) -> SideData:
        return SideData(self.snapshot.users.bags, self.history.user_histories, self.history.user_features)

    def _items(self) -> SideData:
        return SideData(self.snapshot.items.bags, self.history.item_histories, self.history.item_features)

    def _reserve_locked(self, n_events: int) -> None:
        with self.lock:
            self._reserve(n_events)

    def _reserve(self, n_events: int) -> None:
        self.history.reserve(n_events)
        self.snapshot.users.bags.reserve()
        self.snapshot.items.bags.reserve()


def known_rows(rows: Ints) -> Ints:
    """Return the rows without UNKNOWN."""
    known: Ints = rows[rows != UNKNOWN]
    return known


def _parts(rows: Ints) -> Iterator[Ints]:
    """Cut rows into parts of which each is done while the lock is held."""
    return (rows[start : start + ROWS_PER_LOCK] for start in range(0, len(rows), ROWS_PER_LOCK))
