"""Prequential trials: the rank of an item in the user's list just before its rating is folded in.

The work is in two parts. While events are folded in, under the lock, what a trial needs to know of its user
is copied: the bag and the rated items. Later, without the lock, the copies are encoded and the items ranked.
The worker and the offline evaluation both run it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.running_sums import RunningSums
from dch.models.towers import Floats, Head, Ints, encode_row
from dch.search import CANDIDATES
from dch.search.list_rank import OUTSIDE, list_rank, precedes
from dch.search.scan import Work, is_among
from dch.state.fold_in import BagArrays, fold_in
from dch.state.item_columns import ItemColumns
from dch.state.pairs import NONE, Pairs

COHORTS = (
    "existing_user_existing_item",
    "existing_user_new_item",
    "new_user_existing_item",
    "new_user_new_item",
)
"""Cohorts of trials, at position 2 * (user is new) + (item is new); new: not in the fit's training data."""

NOT_TRIED = -1
"""The rank of an event without a trial: none was asked for, or the item could not be recommended."""


class Ranks(NamedTuple):
    """Ranks from 0, one per event; OUTSIDE from 200 on."""

    codes: Ints  # in the user's list: ``codes+rerank``, or with neighbours if the model has them
    popular: Ints  # in the list of the most popular items that the user has not rated


class UsersBefore(NamedTuple):
    """The users of some trials, each as just before its event."""

    events: NDArray[np.int64]  # (n,) which event each trial belongs to
    bags: RunningSums  # (n,)
    seen_starts: NDArray[np.int64]  # (n + 1,)
    seen_rows: Ints  # the items that each has rated, ascending within each


@kernel
def copy_then_fold_in(
    pairs: Pairs,
    bags: BagArrays,
    user_rows: Ints,
    item_rows: Ints,
    ratings: Floats,
    timestamps: NDArray[np.int64],
    offsets: NDArray[np.int64],
    trials: NDArray[np.bool_],
) -> UsersBefore:
    """Fold events in, in order, and copy the user of each trial just before its event.

    Args:
        pairs: histories of the users.
        bags: bags of the users.
        user_rows: (n,) as are the other columns of the events.
        item_rows: (n,).
        ratings: (n,).
        timestamps: (n,).
        offsets: (n,).
        trials: (n,) which events are trials.

    Returns:
        The users. O(hidden + history) per trial.
    """
    events = np.flatnonzero(trials)
    before = UsersBefore(
        events,
        _empty_bags(len(events), bags.sums.sums.shape[1]),
        np.zeros(len(events) + 1, np.int64),
        np.empty(64, np.int32),
    )
    starts, seen, n = before.seen_starts, before.seen_rows, 0
    for i in range(len(user_rows)):
        user = user_rows[i]
        if trials[i]:
            _copy_bag(bags.sums, bags.slots.of_row[user], before.bags, n)
            seen, starts[n + 1] = _copy_seen(pairs, user, seen, starts[n])
            n += 1
        fold_in(pairs, bags, user, item_rows[i], ratings[i], timestamps[i], offsets[i])
    return UsersBefore(events, before.bags, starts, seen)


@kernel
def rank_trials(
    before: UsersBefore,
    head: Head,
    is_weighted: bool,
    items: ItemColumns,
    popular_rows: Ints,
    popular_floor: int,
    item_rows: Ints,
    by_popularity_alone: bool,
    ranks: Ranks,
    work: Work,
) -> None:
    """Rank the item of each trial in the lists for its user.

    Args:
        before: the users.
        head: see ``TowerWeights.head``.
        is_weighted: see ``Model.is_weighted``.
        items: what may be listed.
        popular_rows: see ``PopularItems``.
        popular_floor: see ``PopularItems``.
        item_rows: (n_events,).
        by_popularity_alone: whether to search no codes: then both ranks are those in the popular list.
        ranks: (n_events,) each, written at the events of the trials.
        work: counters, increased.
    """
    hidden, bits = head[4].shape
    scratch, outputs = np.empty(hidden, np.float32), np.empty(bits + len(head[7]), np.float32)
    bags = before.bags
    for trial in range(len(before.events)):
        event = before.events[trial]
        item = item_rows[event]
        seen = before.seen_rows[before.seen_starts[trial] : before.seen_starts[trial + 1]]
        if item >= len(items.allowed) or not items.allowed[item] or is_among(item, seen):
            continue  # a second rating of an item is not a trial
        by_popularity = popular_rank(items, popular_rows, popular_floor, item, seen)
        ranks.codes[event] = ranks.popular[event] = by_popularity
        if bags.n_ratings[trial] > 0 and not by_popularity_alone:
            squares, n_ratings = bags.squares[trial], bags.n_ratings[trial]
            encode_row(bags.sums[trial], squares, n_ratings, head, scratch, outputs)
            columns = (items.words, items.vectors, items.allowed, items.precedence)
            outputs_of_user = (outputs[:bits], outputs[bits:], is_weighted)
            ranks.codes[event] = list_rank(*columns, *outputs_of_user, seen, item, work)


@kernel
def popular_rank(items: ItemColumns, popular_rows: Ints, popular_floor: int, item: int, seen: Ints) -> int:
    """Return the rank of an unseen item in the popular list, or OUTSIDE."""
    before = 0
    for row in popular_rows:
        if row == item:
            return before
        before += not is_among(row, seen)
        if before >= CANDIDATES:
            return OUTSIDE
    for row in range(len(items.allowed)):  # only after a user has rated nearly all of the popular items
        is_counted = items.precedence[row] > popular_floor
        if items.allowed[row] and not is_counted and precedes(items.precedence, row, item):
            before += not is_among(row, seen)
            if before >= CANDIDATES:
                return OUTSIDE
    return before


@kernel
def _empty_bags(n: int, hidden: int) -> RunningSums:
    sums, squares = np.empty((n, hidden), np.int64), np.empty(n, np.int64)
    return RunningSums(sums, squares, np.empty(n, np.int32), np.empty(n, np.int32))


@kernel
def _copy_bag(sums: RunningSums, slot: int, copies: RunningSums, at: int) -> None:
    copies.sums[at] = sums.sums[slot]
    copies.squares[at] = sums.squares[slot]
    copies.n_ratings[at] = sums.n_ratings[slot]


@kernel
def _copy_seen(pairs: Pairs, user: int, seen: Ints, start: int) -> tuple[Ints, int]:
    """Append the items that a user has rated, ascending; return the array, larger if need be, and its end."""
    end, slot = start, pairs.newest[user]
    while slot != NONE:
        if not np.isnan(pairs.ratings[slot]):
            if end == len(seen):
                seen = np.concatenate((seen, np.empty_like(seen)))
            seen[end] = pairs.other[slot]
            end += 1
        slot = pairs.following[slot]
    seen[start:end].sort()
    return seen, end
