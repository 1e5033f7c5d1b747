"""Prequential trials: the rank of an item in the user's list just before its rating is folded in.

One kernel ranks and folds in event by event. The worker and the offline evaluation both run it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.running_sums import RunningSums
from dch.models.towers import Floats, Head, Ints, encode_row
from dch.search import CANDIDATES
from dch.search.scan import block_distances
from dch.search.scores import make_scorer, score_of
from dch.state.fold_in import BagArrays, fold_in
from dch.state.histories import NONE, Pairs
from dch.state.item_index import ItemColumns

COHORTS = (
    "existing_user_existing_item",
    "existing_user_new_item",
    "new_user_existing_item",
    "new_user_new_item",
)
"""Cohorts of trials, at position 2 * (user is new) + (item is new); new: not in the fit's training data."""

NOT_TRIED = -1
"""The rank of an event without a trial: none was asked for, or the item could not be recommended."""

OUTSIDE = np.iinfo(np.int32).max
"""The rank of an item that is not among the candidates."""


class Scratch(NamedTuple):
    """Arrays that trials reuse."""

    unseen: NDArray[np.uint8]  # (n_items,) 1 where the item is allowed and the user has not rated it
    distances: NDArray[np.uint16]  # (n_items,)
    hidden: Floats
    outputs: Floats  # (bits + vector_size,) relaxed code and ranking vector of the user
    query: NDArray[np.uint64]


class Ranks(NamedTuple):
    """Ranks from 0, one per event."""

    codes: Ints  # in the user's list of strategy ``codes+rerank``
    popular: Ints  # in the list of the most popular items that the user has not rated


@kernel
def sign_words(relaxed: Floats, words: NDArray[np.uint64]) -> None:
    """Write the packed code of one relaxed code, as ``codes.pack`` and ``codes.to_words`` do."""
    words[:] = 0
    for b in range(len(relaxed)):
        if relaxed[b] > 0:
            # First bit highest within a byte, bytes in memory order within a little-endian word.
            bit = 8 * (b // 8 % 8) + 7 - b % 8
            words[b // 64] |= np.uint64(1) << np.uint64(bit)


@kernel
def popular_rank(items: ItemColumns, item: int, unseen: NDArray[np.uint8]) -> int:
    """Count the unseen items that come before this one by popularity."""
    precedence = items.precedence
    own = precedence[item]
    before = 0
    for row in range(len(unseen)):
        before += unseen[row] & ((precedence[row] > own) | ((precedence[row] == own) & (row < item)))
    return before


@kernel
def code_rank(items: ItemColumns, item: int, scratch: Scratch) -> int:
    """Return the rank of the item in the list for ``scratch.outputs``, or OUTSIDE, without building the list.

    The candidates are the nearest items by (distance, precedence), and the score orders them. So it is enough
    to find the candidates and to count those that come before the item.
    """
    width = items.words.shape[1]
    bits = len(scratch.outputs) - items.vectors.shape[1]
    flat, relaxed = items.words.reshape(-1), scratch.outputs[:bits]
    sign_words(relaxed, scratch.query)
    block_distances(flat[: len(scratch.unseen) * width], scratch.query, scratch.distances)
    candidates = _candidates(scratch, bits, items.precedence)
    if not np.any(candidates == item):
        return OUTSIDE
    scorer = make_scorer(items.words, items.vectors, relaxed, scratch.outputs[bits:])
    own, own_score = scratch.distances[item], score_of(item, scorer)
    before = 0
    for row in candidates:
        distance, score = scratch.distances[row], score_of(row, scorer)
        nearer = distance < own or (distance == own and _precedes(items.precedence, row, item))
        before += int(score > own_score or (score == own_score and nearer))
    return before


@kernel
def _precedes(precedence: NDArray[np.int64], row: int, other: int) -> bool:
    return precedence[row] > precedence[other] or (precedence[row] == precedence[other] and row < other)


@kernel
def _candidates(scratch: Scratch, bits: int, precedence: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of the candidates, unordered."""
    edge, room = _edge(scratch, bits)
    rows = np.empty(CANDIDATES, np.int64)
    at_edge = np.empty(len(scratch.unseen), np.int64)
    n = n_edge = 0
    for row in range(len(scratch.unseen)):
        if scratch.unseen[row]:
            if scratch.distances[row] < edge:
                rows[n] = row
                n += 1
            elif scratch.distances[row] == edge:
                at_edge[n_edge] = row
                n_edge += 1
    room = min(room, n_edge)
    order = np.argsort(-precedence[at_edge[:n_edge]], kind="mergesort")  # stable: ties go by row
    rows[n : n + room] = at_edge[order[:room]]
    return rows[: n + room]


@kernel
def _edge(scratch: Scratch, bits: int) -> tuple[int, int]:
    """Return the distance of the last candidate, and how many of those at this distance are candidates."""
    counts = np.zeros(bits + 1, np.int64)
    for row in range(len(scratch.unseen)):
        counts[scratch.distances[row]] += scratch.unseen[row]
    room = CANDIDATES
    for distance in range(len(counts)):
        if counts[distance] >= room:
            return distance, room
        room -= int(counts[distance])
    return len(counts) - 1, room


@kernel
def _mark_seen(pairs: Pairs, user: int, unseen: NDArray[np.uint8], allowed: NDArray[np.uint8]) -> None:
    """Take the user's items out of ``unseen`` (empty ``allowed``), or restore them from ``allowed``."""
    slot = pairs.newest[user]
    while slot != NONE:
        row = pairs.other[slot]
        if row < len(unseen) and not np.isnan(pairs.ratings[slot]):
            unseen[row] = allowed[row] if len(allowed) > 0 else 0
        slot = pairs.following[slot]


@kernel
def _rank_trial(
    pairs: Pairs,
    sums: RunningSums,
    head: Head,
    items: ItemColumns,
    user: int,
    item: int,
    scratch: Scratch,
) -> tuple[int, int]:
    """Return the ranks of one item for one user, by codes and by popularity."""
    unseen = scratch.unseen
    if item >= len(unseen) or not unseen[item]:
        return NOT_TRIED, NOT_TRIED
    _mark_seen(pairs, user, unseen, unseen[:0])
    by_codes = by_popularity = NOT_TRIED
    if unseen[item]:  # a second rating of an item is not a trial
        by_codes = by_popularity = popular_rank(items, item, unseen)
        if sums.n_ratings[user] > 0:
            encode_row(
                sums.sums[user],
                sums.squares[user],
                sums.n_ratings[user],
                head,
                scratch.hidden,
                scratch.outputs,
            )
            by_codes = code_rank(items, item, scratch)
    _mark_seen(pairs, user, unseen, items.allowed)
    return by_codes, by_popularity


@kernel
def rank_then_fold_in(
    pairs: Pairs,
    bags: BagArrays,
    head: Head,
    items: ItemColumns,
    user_rows: Ints,
    item_rows: Ints,
    ratings: Floats,
    timestamps: NDArray[np.int64],
    offsets: NDArray[np.int64],
    trials: NDArray[np.bool_],
    ranks: Ranks,
) -> NDArray[np.bool_]:
    """Fold events in, in order, and rank each trial just before its event.

    Args:
        pairs: histories of the users.
        bags: bags of the users.
        head: see ``TowerWeights.head``.
        items: what may be listed.
        user_rows: (n,) as are the other columns of the events.
        item_rows: (n,).
        ratings: (n,).
        timestamps: (n,).
        offsets: (n,).
        trials: (n,) which events to rank.
        ranks: (n,) each, written where trials is True.

    Returns:
        Which events changed anything, (n,).
    """
    hidden, bits = head[4].shape
    scratch = Scratch(
        items.allowed.copy(),
        np.empty(len(items.allowed), np.uint16),
        np.empty(hidden, np.float32),
        np.empty(bits + len(head[7]), np.float32),
        np.empty(items.words.shape[1], np.uint64),
    )
    changed = np.empty(len(user_rows), np.bool_)
    for i in range(len(user_rows)):
        user, item = user_rows[i], item_rows[i]
        if trials[i]:
            ranks.codes[i], ranks.popular[i] = _rank_trial(pairs, bags.sums, head, items, user, item, scratch)
        changed[i] = fold_in(pairs, bags, user, item, ratings[i], timestamps[i], offsets[i])
    return changed
