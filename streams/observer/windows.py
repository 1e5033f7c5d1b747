"""Sums of one-minute cells: what was shown, and what became of it, in the newest minutes of record time.

A cell counts the lists of one minute and label. A window is the sum of the cells of its minutes. Coverage and
the Gini coefficient are no sums: they come from the items of all lists of the window.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.models.towers import Ints
from streams.observer.joins import JOIN_MS, WITHIN_MS, Label
from streams.observer.list_columns import Lists, lists_of

MINUTE_MS = 60_000
ALL = "all"
"""The value of a label that stands for any value."""

GROUPINGS = ((), (0,), (1,), (2,), (0, 1, 2, 3))
"""The labels, by position, that coverage and the Gini coefficient are told apart by; ALL for the others."""


class Exposure(NamedTuple):
    """How the lists of a window are spread over the catalogue."""

    coverage: float
    gini: float


def measures(lists: Lists) -> NDArray[np.int64]:
    """Return the measures of each list, (n, m): those of ``joins``, and the delay of a hit in ms."""
    hits = lists.delay[:, None] <= WITHIN_MS
    delay = np.where(lists.delay <= JOIN_MS, lists.delay, 0)
    plain = (np.ones_like(lists.n_items), lists.n_items, lists.n_new, lists.n_repeated, lists.popularity)
    return np.column_stack([*plain, hits, delay]).astype(np.int64)


def minutes(lists: Lists) -> NDArray[np.int64]:
    """Return the minute of each list since 1970, (n,)."""
    return lists.time // MINUTE_MS


def cells(lists: Lists) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Return the measures, summed, of each minute and label row."""
    sums = _sums(np.column_stack([minutes(lists), lists.label]), measures(lists))
    return {(minute, row): found for (minute, row), found in sums.items()}


def window_sums(lists: Lists) -> dict[int, NDArray[np.int64]]:
    """Return the measures of lists of one window, summed, by label row."""
    return {row: found for (row,), found in _sums(lists.label[:, None], measures(lists)).items()}


def _sums(keys: NDArray[np.integer], values: NDArray[np.int64]) -> dict[tuple[int, ...], NDArray[np.int64]]:
    distinct, group = np.unique(keys, axis=0, return_inverse=True)
    sums = np.zeros((len(distinct), values.shape[1]), np.int64)
    np.add.at(sums, group.reshape(-1), values)
    return dict(zip(map(tuple, distinct.tolist()), sums, strict=True))


def in_window(lists: Lists, last_minute: int, n_minutes: int) -> Lists:
    """Return copies of the lists of the n minutes up to and with the last one."""
    found = minutes(lists)
    recent = np.flatnonzero(found > last_minute - n_minutes)
    if not len(recent):
        return lists.part(len(found))
    start = int(recent[0])
    lists, found = lists.part(start), found[start:]
    kept = (found > last_minute - n_minutes) & (found <= last_minute)
    items = lists.items[np.repeat(kept, lists.n_items)]
    return lists_of([*(column[kept] for column in lists[:-1]), items])


def joined(parts: Sequence[Lists]) -> Lists:
    """Return the lists of several partitions as one."""
    return lists_of([np.concatenate(columns) for columns in zip(*parts, strict=True)])


def exposures(lists: Lists, labels: Sequence[Label]) -> dict[Label, Exposure]:
    """Return coverage and Gini coefficient of each group of GROUPINGS.

    Args:
        lists: those of one window.
        labels: by label row.
    """
    label_of_item = np.repeat(lists.label, lists.n_items).astype(np.int64)
    n_rows = int(lists.items.max(initial=0)) + 1
    pairs, counts = np.unique(label_of_item * n_rows + lists.items, return_counts=True)
    label_rows, items = pairs // n_rows, pairs % n_rows
    found = {}
    for group, rows in _groups(np.unique(lists.label), labels):
        is_member = np.zeros(len(labels), np.bool_)
        is_member[rows] = True
        shown = np.bincount(items[mask := is_member[label_rows]], counts[mask], minlength=1)
        catalogue = int(lists.catalogue[is_member[lists.label]].max())
        found[group] = _exposure(shown[shown > 0].astype(np.int64), catalogue)
    return found


def _groups(rows: Ints, labels: Sequence[Label]) -> Iterator[tuple[Label, Ints]]:
    """Yield each group of GROUPINGS with its label rows."""
    for grouping in GROUPINGS:
        names = [
            Label(*(value if at in grouping else ALL for at, value in enumerate(labels[row])))
            for row in rows.tolist()
        ]
        for name in dict.fromkeys(names):
            yield name, rows[[one == name for one in names]]


def _exposure(counts: NDArray[np.int64], catalogue: int) -> Exposure:
    n = max(catalogue, len(counts))
    return Exposure(len(counts) / n if n else 0.0, gini(counts, n))


def gini(counts: NDArray[np.int64], n: int) -> float:
    """Return the Gini coefficient of n numbers, of which those not given are 0.

    0 if all are equal, or there are none; (n - 1) / n if all but one are 0. See Brown, Population and
    Development Review 20 (1994); for lists: Fleder and Hosanagar, Management Science 55 (2009).

    Args:
        counts: (m,) numbers above 0, m <= n.
        n: how many numbers there are.
    """
    total = int(counts.sum())
    if not total:
        return 0.0
    ranks = np.arange(n - len(counts) + 1, n + 1)
    return float(2 * (ranks * np.sort(counts)).sum() / (n * total) - (n + 1) / n)
