"""Sums of one-minute cells: what was shown, and what became of it, in the newest minutes of record time.

A cell counts the lists of one minute, label and generation. A window is the sum of the cells of its minutes.
Coverage and the Gini coefficient are no sums: they come from the items of all lists of the window.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.models.towers import Ints
from streams.observer.joins import JOIN_MS, WITHIN_MS
from streams.observer.list_columns import Lists, lists_of

MINUTE_MS = 60_000
Key = tuple[str, ...]
"""Values of labels."""


class Exposure(NamedTuple):
    """How the lists of a window are spread over the catalogue."""

    coverage: float
    gini: float


class Window(NamedTuple):
    """The lists of a window, summed by label row and generation: m groups, of which others are unions."""

    label: Ints  # (m,) row in the table of labels
    generation: Ints  # (m,)
    sums: NDArray[np.int64]  # (m, n_measures)
    catalogue: Ints  # (m,) largest number of items that had a code
    group: Ints  # (pairs,) of each pair of a group and an item that it showed
    item: Ints  # (pairs,) item rows
    n_shown: Ints  # (pairs,) how often it was shown


def measures(lists: Lists) -> NDArray[np.int64]:
    """Return the measures of each list, (n, m): those of ``joins``, and the delay of a hit in ms."""
    hits = lists.delay[:, None] <= WITHIN_MS
    delay = np.where(lists.delay <= JOIN_MS, lists.delay, 0)
    plain = (np.ones_like(lists.n_items), lists.n_items, lists.n_new, lists.n_repeated, lists.popularity)
    return np.column_stack([*plain, hits, delay]).astype(np.int64)


def minutes(lists: Lists) -> NDArray[np.int64]:
    """Return the minute of each list since 1970, (n,)."""
    return lists.time // MINUTE_MS


def cells(lists: Lists) -> dict[tuple[int, int, int], NDArray[np.int64]]:
    """Return the measures, summed, of each minute, label row and generation."""
    keys = np.column_stack([minutes(lists), lists.label, lists.generation])
    distinct, group = np.unique(keys, axis=0, return_inverse=True)
    sums = _sums(group.reshape(-1), len(distinct), measures(lists))
    return {
        (minute, row, of): found for (minute, row, of), found in zip(distinct.tolist(), sums, strict=True)
    }


def window_of(lists: Lists) -> Window:
    """Return the sums of the lists of one window."""
    keys = lists.label.astype(np.int64) << 32 | lists.generation
    distinct, group = np.unique(keys, return_inverse=True)
    catalogue = np.zeros(len(distinct), np.int32)
    np.maximum.at(catalogue, group, lists.catalogue)
    n_rows = int(lists.items.max(initial=0)) + 1
    pairs, n_shown = np.unique(np.repeat(group, lists.n_items) * n_rows + lists.items, return_counts=True)
    return Window(
        label=(distinct >> 32).astype(np.int32),
        generation=(distinct & 0xFFFFFFFF).astype(np.int32),
        sums=_sums(group, len(distinct), measures(lists)),
        catalogue=catalogue,
        group=(pairs // n_rows).astype(np.int32),
        item=(pairs % n_rows).astype(np.int32),
        n_shown=n_shown.astype(np.int32),
    )


def main_generations(lists: Lists, n: int) -> set[int]:
    """Return the n generations that have the largest share of the lists since their own first one.

    Of generations that were in service one after the other and as long, these are the newest. A few lists of
    a generation that does not exist, with whatever number, push out none that is in service.
    """
    found, of, n_lists = np.unique(lists.generation, return_inverse=True, return_counts=True)
    first = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(first, of, lists.time)
    n_since = len(lists.time) - np.searchsorted(np.sort(lists.time), first)
    order = np.lexsort((-found.astype(np.int64), -n_lists / n_since))
    return set(found[order[:n]].tolist())


def _sums(group: NDArray[np.integer], n_groups: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
    sums = np.zeros((n_groups, values.shape[1]), np.int64)
    np.add.at(sums, group, values)
    return sums


def sums_by(window: Window, keys: Sequence[Key | None]) -> dict[Key, NDArray[np.int64]]:
    """Return the measures, summed, of unions of groups.

    Args:
        window: with m groups.
        keys: (m,) which union a group belongs to; None is none.
    """
    return {key: window.sums[members].sum(axis=0) for key, members in _unions(keys).items()}


def exposures_by(window: Window, keys: Sequence[Key | None]) -> dict[Key, Exposure]:
    """Return coverage and Gini coefficient of unions of groups; keys as in ``sums_by``."""
    found = {}
    for key, members in _unions(keys).items():
        is_shown = members[window.group]
        counts = np.bincount(window.item[is_shown], window.n_shown[is_shown]).astype(np.int64)
        found[key] = _exposure(counts[counts > 0], int(window.catalogue[members].max()))
    return found


def _unions(keys: Sequence[Key | None]) -> dict[Key, NDArray[np.bool_]]:
    """Return which groups have each key, (m,)."""
    distinct = dict.fromkeys(key for key in keys if key is not None)
    return {key: np.array([one == key for one in keys], np.bool_) for key in distinct}


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
