"""Prequential trials: would this item have been in the user's list, asked just before learning from it?

Test, then learn, event by event, in one kernel: the live service and the offline evaluation run these lines.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.catalogue import Catalogue
from dch.histories import NONE, Pairs
from dch.jit import kernel
from dch.search import CANDIDATES
from dch.search.distances import block_distances
from dch.search.scan import score_of, score_table
from dch.side import Inputs, Ints, learn
from dch.sums import RunningSums
from dch.towers import Floats, encode_row

NOT_TRIED = -1
"""The rank of an event that was not to be tried, or whose item could not have been recommended."""

OUTSIDE = np.iinfo(np.int32).max
"""The rank of an item that is not among the candidates."""


class Scratch(NamedTuple):
    """Room for one trial after the other."""

    unseen: NDArray[np.uint8]  # (n_items,) allowed, less what the user at hand has rated
    distances: NDArray[np.uint16]  # (n_items,)
    hidden: Floats
    relaxed: Floats
    query: NDArray[np.uint64]


class Ranks(NamedTuple):
    """Ranks from 0, one per event."""

    codes: Ints  # in the list that the user would have got
    popular: Ints  # in the list of the most popular items the user has not rated


@kernel
def sign_words(relaxed: Floats, words: NDArray[np.uint64]) -> None:
    """Write the packed code of one relaxed code, as ``codes.pack`` and ``codes.to_words`` would."""
    words[:] = 0
    for b in range(len(relaxed)):
        if relaxed[b] > 0:
            # First bit highest within a byte, bytes in memory order within a little-endian word.
            place = 8 * (b // 8 % 8) + 7 - b % 8
            words[b // 64] |= np.uint64(1) << np.uint64(place)


@kernel
def popular_rank(catalogue: Catalogue, item: int, unseen: NDArray[np.uint8]) -> int:
    """Count the unseen items that come before this one by popularity."""
    precedence = catalogue.precedence
    own = precedence[item]
    before = 0
    for row in range(len(unseen)):
        before += unseen[row] & ((precedence[row] > own) | ((precedence[row] == own) & (row < item)))
    return before


@kernel
def code_rank(catalogue: Catalogue, item: int, scratch: Scratch) -> int:
    """Return the place of the item in the list for ``scratch.relaxed``, or OUTSIDE, without making the list.

    The candidates are the nearest by (distance, score, precedence); within them the score orders. So it is
    enough to count: who is nearer, and who of the candidates scores better.
    """
    width, n_items = catalogue.words.shape[1], len(scratch.unseen)
    flat = catalogue.words.reshape(-1)
    sign_words(scratch.relaxed, scratch.query)
    block_distances(flat[: n_items * width], scratch.query, scratch.distances)
    edge, room = _edge(scratch)
    own = int(scratch.distances[item])
    if own > edge:
        return OUTSIDE
    table = score_table(scratch.relaxed)
    own_score = score_of(flat, width, item, own, table)
    inside = at_edge = 0
    for row in range(n_items):
        distance = int(scratch.distances[row])
        if distance > edge or not scratch.unseen[row]:
            continue
        score = score_of(flat, width, row, distance, table)
        if score < own_score or row == item:
            continue
        later = score == own_score and (
            distance > own or (distance == own and _precedes(catalogue.precedence, item, row))
        )
        inside += distance < edge and not later
        at_edge += distance == edge and not later
    if own == edge and at_edge >= room:
        return OUTSIDE
    return inside + min(at_edge, room)


@kernel
def _precedes(precedence: NDArray[np.int64], row: int, other: int) -> bool:
    return precedence[row] > precedence[other] or (precedence[row] == precedence[other] and row < other)


@kernel
def _edge(scratch: Scratch) -> tuple[int, int]:
    """Return the distance of the last candidate, and how many of those at this distance are candidates."""
    counts = np.zeros(len(scratch.relaxed) + 1, np.int64)
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
    """Take the user's items out of ``unseen``; with ``allowed`` all zero, or put them back."""
    slot = pairs.newest[user]
    while slot != NONE:
        row = pairs.other[slot]
        if row < len(unseen) and not np.isnan(pairs.ratings[slot]):
            unseen[row] = allowed[row] if len(allowed) > 0 else 0
        slot = pairs.following[slot]


@kernel
def _try(
    pairs: Pairs,
    sums: RunningSums,
    head: tuple[Floats, ...],
    catalogue: Catalogue,
    user: int,
    item: int,
    scratch: Scratch,
) -> tuple[int, int]:
    """Rank one item for one user, by codes and by popularity."""
    unseen = scratch.unseen
    if item >= len(unseen) or not unseen[item]:
        return NOT_TRIED, NOT_TRIED
    _mark_seen(pairs, user, unseen, unseen[:0])
    by_codes = by_popularity = NOT_TRIED
    if unseen[item]:  # a rating of something seen is no trial
        by_codes = by_popularity = popular_rank(catalogue, item, unseen)
        if sums.n_ratings[user] > 0:
            encode_row(
                sums.sums[user],
                sums.squares[user],
                sums.n_ratings[user],
                head,
                scratch.hidden,
                scratch.relaxed,
            )
            by_codes = code_rank(catalogue, item, scratch)
    _mark_seen(pairs, user, unseen, catalogue.allowed)
    return by_codes, by_popularity


@kernel
def rank_then_learn(
    pairs: Pairs,
    inputs: Inputs,
    head: tuple[Floats, ...],
    catalogue: Catalogue,
    users: Ints,
    items: Ints,
    ratings: Floats,
    timestamps: NDArray[np.int64],
    offsets: NDArray[np.int64],
    trials: NDArray[np.bool_],
    ranks: Ranks,
) -> NDArray[np.bool_]:
    """Fold events in, in order, ranking each one to be tried just before; return which changed anything."""
    hidden, bits = head[4].shape
    scratch = Scratch(
        catalogue.allowed.copy(),
        np.empty(len(catalogue.allowed), np.uint16),
        np.empty(hidden, np.float32),
        np.empty(bits, np.float32),
        np.empty(catalogue.words.shape[1], np.uint64),
    )
    changed = np.empty(len(users), np.bool_)
    for i in range(len(users)):
        if trials[i]:
            by_codes, by_popularity = _try(pairs, inputs[0], head, catalogue, users[i], items[i], scratch)
            ranks.codes[i], ranks.popular[i] = by_codes, by_popularity
        changed[i] = learn(pairs, inputs, users[i], items[i], ratings[i], timestamps[i], offsets[i])
    return changed
