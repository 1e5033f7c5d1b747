"""Join the lists of one partition of `served` with the likes that follow them.

What is joined is a function of the set of records that count, in whatever order they arrive. A record does
not count if its time is more than a day before the newest time of the partition, or if it is a copy of one
that counts. So lists are kept for eight days (a like that is a day late may belong to a list of seven days
before it), and ids and likes for one. Times are those of the records, never those of a clock.

Many clients may share one user id, such as ``guest``. So the newest MAX_SHOWN places on lists of a user are
joined, and the newest MAX_LIKES likes: a record costs the same however many there were before it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import IdTable
from dch.models.towers import Ints
from streams.messages.served import Served, ServedList, ServedRating
from streams.observer.list_columns import NEVER, ListColumns

DAY_MS = 24 * 3600 * 1000
LATE_MS = DAY_MS
"""A record that is older than the newest one by more than this does not count."""

WITHIN_MS = np.array([60_000, 600_000, 3_600_000, DAY_MS, 7 * DAY_MS])
"""The times after a list within which a like counts, in the order of ``streams.served_metrics.WITHIN``."""

JOIN_MS = 7 * DAY_MS
"""Longest time from a list to a like of it, and from a list to another that repeats an item."""

KEEP_MS = JOIN_MS + LATE_MS
MAX_SHOWN = 20_000
"""The most places on lists of one user that are kept to be joined: those that came last."""

MAX_LIKES = 1000
"""The most likes of one user that are kept for lists that come after them."""

SWEEP_EVENTS = 10_000
"""Fewest records between two sweeps of users about whom nothing is kept."""

MEASURES = ("lists", "items", "new_items", "repeated_items", "popularity")
"""What is counted of lists; the hits within each of WITHIN_MS follow."""

N_MEASURES = len(MEASURES) + len(WITHIN_MS)
ID_BYTES = 150  # of one id in a set and a queue, about

Outcome = Literal["applied", "repeated", "late"]


class Label(NamedTuple):
    """What lists are counted by, beside their generation. There are few, because each value is one of few."""

    strategy: str
    cohort: str
    arm: str


class Names:
    """The rows of labels and items, shared by the partitions of one observer."""

    def __init__(self) -> None:
        self.items = IdTable()
        self.labels: list[Label] = []
        self._label_rows: dict[tuple[str, str, str], int] = {}
        self._marks = np.zeros(0, np.bool_)  # by item row; all are False between two calls

    def label_row(self, found: ServedList) -> int:
        """Return the row of the label of a list; a new label is added."""
        row = self._label_rows.get((found.strategy, found.cohort, found.arm))
        if row is None:
            row = self._label_rows[found.strategy, found.cohort, found.arm] = len(self.labels)
            self.labels.append(Label(found.strategy, found.cohort, found.arm))
        return row

    def are_among(self, rows: Ints, others: Ints) -> NDArray[np.bool_]:
        """Return which item rows are among the others, (n,); several times faster than ``np.isin``."""
        if len(self._marks) < len(self.items):
            self._marks = np.zeros(2 * len(self.items), np.bool_)
        self._marks[others] = True
        found = self._marks[rows]
        self._marks[others] = False
        return found


@dataclass(slots=True)
class _User:
    """What one user was shown in the lists kept, and has liked in the last day."""

    items: Ints = field(default_factory=lambda: np.zeros(0, np.int32))  # (n,) item rows shown
    lists: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,) ascending
    repeated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))  # (n,)
    likes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MAX_LIKES))  # item row, time

    def keep(self, items: Ints, number: int, repeated: NDArray[np.bool_]) -> None:
        """Add the items of a list; the newest places are kept."""
        self.items = np.concatenate([self.items, items])[-MAX_SHOWN:]
        self.lists = np.concatenate([self.lists, np.full(len(items), number)])[-MAX_SHOWN:]
        self.repeated = np.concatenate([self.repeated, repeated])[-MAX_SHOWN:]


class JoinedLists:
    """The lists of one partition, and what became of them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._columns = ListColumns()
        self._users: dict[str, _User] = {}
        self._ids: set[tuple[bool, int, int]] = set()
        self._id_queue: deque[tuple[int, tuple[bool, int, int]]] = deque()
        self._sweep_at = SWEEP_EVENTS
        self.newest_ms = 0
        self._totals: dict[int, list[int]] = {}

    @property
    def lists(self) -> ListColumns:
        """The lists that are kept."""
        return self._columns

    @property
    def totals(self) -> dict[int, NDArray[np.int64]]:
        """By label row: the measures of all lists so far, (N_MEASURES,). They never fall."""
        return {row: np.array(total, np.int64) for row, total in self._totals.items()}

    @property
    def nbytes(self) -> int:
        """Memory, in bytes, estimated, without the ids of users and items."""
        of_users = sum(
            one.items.nbytes + one.lists.nbytes + one.repeated.nbytes for one in self._users.values()
        )
        return self._columns.nbytes + of_users + ID_BYTES * len(self._ids)

    def apply(self, found: Served) -> Outcome:
        """Join one record; return whether it counts."""
        if found.time < self.newest_ms - LATE_MS:
            return "late"
        id_ = (isinstance(found, ServedList), found.partition, found.offset)
        if id_ in self._ids:
            return "repeated"
        self._ids.add(id_)
        self._id_queue.append((found.time, id_))
        self.newest_ms = max(self.newest_ms, found.time)
        self._forget()
        if isinstance(found, ServedList):
            self._add_list(found)
        else:
            self._add_rating(found)
        return "applied"

    def _add_list(self, found: ServedList) -> None:
        user, items = self._user(found.user), self._names.items.intern_many(found.items)
        label, n_items = self._names.label_row(found), len(items)
        repeated = self._mark_repeated(user, items, found.time)
        n_repeated = int(np.count_nonzero(repeated))
        number = self._columns.append(
            time=found.time,
            label=label,
            generation=found.generation,
            items=items,
            n_new=found.new_items,
            n_repeated=n_repeated,
            popularity=found.popularity,
            catalogue=found.catalogue,
            delay=NEVER,
        )
        measures = (1, n_items, found.new_items, n_repeated, found.popularity)
        total = self._total(label)
        for at, value in enumerate(measures):
            total[at] += value
        if user.likes:
            shown = set(items.tolist())
            delays = (time - found.time for item, time in user.likes if item in shown and time >= found.time)
            self._shorten(number, min(delays, default=NEVER))
        user.keep(items, number, repeated)

    def _mark_repeated(self, user: _User, items: Ints, time: int) -> NDArray[np.bool_]:
        """Return which items an earlier list showed, (n,); mark those that a later list shows again."""
        at = np.flatnonzero(self._names.are_among(user.items, items))
        if not len(at):
            return np.zeros(len(items), np.bool_)
        gaps = self._columns.column("time")[user.lists[at] - self._columns.first] - time
        self._note_repeated(user, at[(gaps > 0) & (gaps <= JOIN_MS)])
        return self._names.are_among(items, user.items[at[(gaps < 0) & (gaps >= -JOIN_MS)]])

    def _note_repeated(self, user: _User, later: NDArray[np.integer]) -> None:
        """Mark what later lists show again, at these places of a user's items."""
        later = later[~user.repeated[later]]
        user.repeated[later] = True
        n_repeated, labels = self._columns.column("n_repeated"), self._columns.column("label")
        for row in (user.lists[later] - self._columns.first).tolist():
            n_repeated[row] += 1
            self._total(int(labels[row]))[MEASURES.index("repeated_items")] += 1

    def _add_rating(self, found: ServedRating) -> None:
        if not found.liked:
            return
        user, item = self._user(found.user), self._names.items.intern(found.item)
        user.likes.append((item, found.time))
        numbers = user.lists[user.items == item]
        if not len(numbers):
            return
        delays = found.time - self._columns.column("time")[numbers - self._columns.first]
        for number, delay in zip(numbers.tolist(), delays.tolist(), strict=True):
            if 0 <= delay <= JOIN_MS:
                self._shorten(number, delay)

    def _shorten(self, number: int, delay: int) -> None:
        """Note that an item of a list was liked after this delay, in ms; the shortest delay counts."""
        row, delays = number - self._columns.first, self._columns.column("delay")
        before = int(delays[row])
        if delay >= before:
            return
        delays[row] = delay
        total = self._total(int(self._columns.column("label")[row]))
        for at, within in enumerate(WITHIN_MS.tolist(), len(MEASURES)):
            total[at] += delay <= within < before

    def _total(self, label: int) -> list[int]:
        return self._totals.setdefault(label, [0] * N_MEASURES)

    def _user(self, id_: str) -> _User:
        user = self._users.get(id_)
        if user is None:
            user = self._users[id_] = _User()
        self._prune(user)
        return user

    def _prune(self, user: _User) -> None:
        """Drop what is no longer kept."""
        first = self._columns.first
        if len(user.lists) and user.lists[0] < first:
            gone = int(np.searchsorted(user.lists, first))
            # copies, because a view would hold on to the memory of the whole
            user.items, user.lists = user.items[gone:].copy(), user.lists[gone:].copy()
            user.repeated = user.repeated[gone:].copy()
        oldest = self.newest_ms - LATE_MS
        while user.likes and user.likes[0][1] < oldest:  # others came later, so they wait a day at most
            user.likes.popleft()

    def _forget(self) -> None:
        """Drop lists, ids and users that no record can need any more."""
        self._columns.drop_before(self.newest_ms - KEEP_MS)
        while self._id_queue[0][0] < self.newest_ms - LATE_MS:
            self._ids.discard(self._id_queue.popleft()[1])
        self._sweep_at -= 1
        if self._sweep_at <= 0:
            for user in self._users.values():
                self._prune(user)
            self._users = {id_: user for id_, user in self._users.items() if user.likes or len(user.lists)}
            self._sweep_at = max(SWEEP_EVENTS, len(self._users))
