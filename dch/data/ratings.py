"""Ratings as columns of users, items, values and times; only the latest rating of a pair is kept.

A ``Ratings`` is immutable. All parts of a split share the two id tables of the whole, so a row means the same
user or item in each part.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.events import LARGEST_RATING
from dch.data.features import Features, availability
from dch.data.ids import IdTable, id_text, id_texts
from dch.data.times import times_of
from dch.errors import RatingsError


@dataclass(frozen=True)
class Rows:
    """Compressed rows: row i holds ``columns[starts[i]:starts[i + 1]]``, oldest rating first."""

    starts: NDArray[np.int64]
    """(n + 1,)."""

    columns: NDArray[np.int32]
    """(n_ratings,) rows of the other side."""

    values: NDArray[np.float32]
    """(n_ratings,) ratings."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def counts(self) -> NDArray[np.int64]:
        """Return the length of each row, (n,)."""
        return np.diff(self.starts)


class ItemSets(NamedTuple):
    """Sets of item rows as compressed rows: set i is ``columns[starts[i]:starts[i + 1]]``."""

    starts: NDArray[np.int64]
    """(n + 1,)."""

    columns: NDArray[np.int32]
    """Item rows; no row twice in one set."""

    @classmethod
    def of(cls, sets: Sequence[NDArray[np.integer]]) -> "ItemSets":
        """Join arrays of item rows, one for each set."""
        starts = np.concatenate(([0], np.cumsum([len(one) for one in sets]))).astype(np.int64)
        return cls(starts, np.concatenate([np.empty(0, np.int32), *sets]).astype(np.int32))

    def cells(self, block: slice) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return, for each item in the sets of a block, the position of its set in the block, and its row."""
        starts = self.starts[block.start : block.stop + 1]
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts)), self.columns[starts[0] : starts[-1]]


@dataclass(frozen=True, repr=False)
class Ratings:
    """The latest rating of each (user, item) pair, as columns of equal length, oldest rating first."""

    users: NDArray[np.int32]
    """(n_ratings,) rows of user_ids."""

    items: NDArray[np.int32]
    """(n_ratings,) rows of item_ids."""

    values: NDArray[np.float32]
    """(n_ratings,) finite ratings."""

    timestamps: NDArray[np.int64]
    """(n_ratings,) milliseconds since 1970, ascending; 0 for no time. Times that are all before 1990 are only
    places in an order."""

    user_ids: IdTable
    item_ids: IdTable

    user_features: Mapping[str, Features] = field(default_factory=dict)
    """Feature record by user id; may include users without ratings."""

    item_features: Mapping[str, Features] = field(default_factory=dict)
    """Feature record by item id; may include items without ratings."""

    @classmethod
    def from_events(
        cls,
        users: Iterable[object],
        items: Iterable[object],
        values: Sequence[float] | NDArray[np.floating] | NDArray[np.integer],
        timestamps: Iterable[object] | None = None,
        *,
        user_features: Mapping[str, Features] | None = None,
        item_features: Mapping[str, Features] | None = None,
    ) -> "Ratings":
        """Build from rating events in any order; the latest of each pair by (timestamp, position) is kept.

        Args:
            users: (n,) user ids: text, or numbers, which become text.
            items: (n,) item ids, likewise.
            values: (n,) ratings; NaN withdraws the pair.
            timestamps: (n,) times in any unit of ``dch.data.times``, or small numbers that give an order;
                None if the source has no times, so that the last position wins.
            user_features: feature record by user id.
            item_features: feature record by item id.

        Raises:
            RatingsError: the columns differ in length, or a value is no id, no rating or no time.
        """
        user_texts, item_texts = id_texts(users, "users"), id_texts(items, "items")
        n, rates = len(user_texts), _finite(values)
        stamps = np.zeros(n, np.int64) if timestamps is None else times_of(timestamps, "timestamps")
        if not n == len(item_texts) == len(rates) == len(stamps):
            raise RatingsError(
                f"columns differ in length: {n} users, {len(item_texts)} items, "
                f"{len(rates)} ratings, {len(stamps)} timestamps"
            )
        user_ids, item_ids = IdTable(), IdTable()
        user_rows, item_rows = user_ids.intern_many(user_texts), item_ids.intern_many(item_texts)
        kept = latest(user_rows, item_rows, stamps)
        kept = kept[~np.isnan(rates[kept])]
        columns = (user_rows[kept], item_rows[kept], rates[kept], stamps[kept])
        user_features = _by_id(user_features or {}, "user_features")
        item_features = _checked_items(_by_id(item_features or {}, "item_features"))
        user_ids.intern_many(list(user_features))
        item_ids.intern_many(list(item_features))
        return cls(*columns, user_ids, item_ids, user_features, item_features)

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        *,
        user_column: str | int | None = None,
        item_column: str | int | None = None,
        rating_column: str | int | None = None,
        time_column: str | int | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        header: bool = True,
    ) -> "Ratings":
        """Read a file of ratings and the metadata files beside it; the file name determines the format.

        What is left out or not used, such as lines without an id, is named once in the log, as a warning.

        Args:
            path: a file, or a folder with one file of ratings; see ``dch.data.readers``.
            user_column: name of the column of users, or its number from 1; None: found by the usual names.
            item_column: likewise for items.
            rating_column: likewise for ratings; ``none``: each line counts 1.
            time_column: likewise for times; ``none``: the file has no times.
            delimiter: separator of the columns of a text file; None: found in the first line.
            encoding: encoding of a text file; None is UTF-8.
            header: whether the first line of a text file names the columns. If not, they are user, item,
                rating and time.

        Raises:
            RatingsError: a file cannot be read; names the file, the line and the value found.
            ConfigError: an option is not for this format, or unknown.
        """
        from dch.data.readers import ReadOptions, read_file  # pyarrow, which serving does not load

        options = ReadOptions(
            user_column=user_column,
            item_column=item_column,
            rating_column=rating_column,
            time_column=time_column,
            delimiter=delimiter,
            encoding=encoding,
            header=header,
        )
        columns, user_features, item_features = read_file(path, options)
        return cls.from_events(
            columns.users,
            columns.items,
            columns.ratings,
            columns.timestamps,
            user_features=user_features,
            item_features=item_features,
        )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Ratings({len(self):,} ratings, {self.n_users:,} users, {self.n_items:,} items)"

    @property
    def n_users(self) -> int:
        """Number of users in the id table, with or without ratings."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items in the id table, with or without ratings."""
        return len(self.item_ids)

    @cached_property
    def by_user(self) -> Rows:
        """The ratings of each user, oldest first; columns are item rows."""
        return _compress(self.users, self.items, self.values, self.n_users)

    @cached_property
    def by_item(self) -> Rows:
        """The ratings of each item, oldest first; columns are user rows."""
        return _compress(self.items, self.users, self.values, self.n_items)

    def pairs(self) -> NDArray[np.int64]:
        """Return a number for each rating that identifies its user and item, (n_ratings,)."""
        return pairs_of(self.users, self.items)

    def subset(self, which: NDArray[np.bool_] | NDArray[np.integer]) -> "Ratings":
        """Return the ratings selected by a mask or by positions, over the same id tables.

        Args:
            which: (n_ratings,) bool, or positions in any order; the result is in the order of these ratings.
        """
        selected = np.flatnonzero(which) if which.dtype == bool else np.sort(which)
        return replace(
            self,
            users=self.users[selected],
            items=self.items[selected],
            values=self.values[selected],
            timestamps=self.timestamps[selected],
        )


def pairs_of(users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return a number for each (user, item) pair, (n,), that sorts by user, then by item."""
    pairs: NDArray[np.int64] = (users.astype(np.int64) << 32) | items
    return pairs


def latest(
    users: NDArray[np.int32], items: NDArray[np.int32], timestamps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the positions of the latest event of each (user, item) pair, oldest first.

    Of events with equal times, the one at the later position wins.
    """
    order = np.argsort(timestamps, kind="stable")
    pairs = pairs_of(users[order], items[order])
    _, last_from_end = np.unique(pairs[::-1], return_index=True)
    kept: NDArray[np.int64] = order[np.sort(len(pairs) - 1 - last_from_end)]
    return kept


def _finite(values: Sequence[float] | NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float32]:
    """Return ratings as float32, (n,); NaN stays."""
    try:
        rates = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RatingsError(f"ratings: expected numbers: {error}") from error
    if (is_bad := np.abs(rates) > LARGEST_RATING).any():
        first = int(is_bad.argmax())
        raise RatingsError(f"ratings[{first}]: expected a finite number, got {rates[first]:g}")
    return rates.astype(np.float32)


def _by_id(features: Mapping[str, Features], what: str) -> dict[str, Features]:
    return {id_text(id_, what): record for id_, record in features.items()}


def _checked_items(features: dict[str, Features]) -> dict[str, Features]:
    for item, record in features.items():
        if availability(record) is None:
            raise RatingsError(
                f"item {item!r}: available: expected true or false, got {record['available']!r}"
            )
    return features


def _compress(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: NDArray[np.float32], n: int
) -> Rows:
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=starts[1:])
    order = np.argsort(rows, kind="stable")
    return Rows(starts, columns[order], values[order])
