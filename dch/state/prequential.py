"""Prequential trials: would this item have been in the user's list, asked just before learning from it?

Test, then learn, event by event, in one kernel: the live service and the offline evaluation run these lines.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.sums import RunningSums
from dch.models.towers import Floats, Head, encode_row
from dch.search import CANDIDATES
from dch.search.distances import block_distances
from dch.search.scores import make_scorer, score_of
from dch.state.encoder import Inputs, Ints, learn
from dch.state.histories import NONE, Pairs
from dch.state.item_index import Catalogue

NOT_TRIED = -1
"""The rank of an event that was not to be tried, or whose item could not have been recommended."""

OUTSIDE = np.iinfo(np.int32).max
"""The rank of an item that is not among the candidates."""


class Scratch(NamedTuple):
    """Room for one trial after the other."""

    unseen: NDArray[np.uint8]  # (n_items,) allowed, less what the user at hand has rated
    distances: NDArray[np.uint16]  # (n_items,)
    hidden: Floats
    outputs: Floats  # (bits + vector_size,) relaxed code and ranking vector of the user
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
    """Return the place of the item in the list for ``scratch.outputs``, or OUTSIDE, without making the list.

    The candidates are the nearest by (distance, precedence); within them the score orders. So it is enough to
    find the candidates and to count those that score better.
    """
    width = catalogue.words.shape[1]
    bits = len(scratch.outputs) - catalogue.vectors.shape[1]
    flat, relaxed = catalogue.words.reshape(-1), scratch.outputs[:bits]
    sign_words(relaxed, scratch.query)
    block_distances(flat[: len(scratch.unseen) * width], scratch.query, scratch.distances)
    candidates = _candidates(scratch, bits, catalogue.precedence)
    if not np.any(candidates == item):
        return OUTSIDE
    scorer = make_scorer(catalogue.words, catalogue.vectors, relaxed, scratch.outputs[bits:])
    own, own_score = scratch.distances[item], score_of(item, scorer)
    before = 0
    for row in candidates:
        distance, score = scratch.distances[row], score_of(row, scorer)
        nearer = distance < own or (distance == own and _precedes(catalogue.precedence, row, item))
        before += int(score > own_score or (score == own_score and nearer))
    return before


@kernel
def _precedes(precedence: NDArray[np.int64], row: int, other: int) -> bool:
    return precedence[row] > precedence[other] or (precedence[row] == precedence[other] and row < other)


@kernel
def _candidates(scratch: Scratch, bits: int, precedence: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of the candidates, in no order that means anything."""
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
    head: Head,
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
                scratch.outputs,
            )
            by_codes = code_rank(catalogue, item, scratch)
    _mark_seen(pairs, user, unseen, catalogue.allowed)
    return by_codes, by_popularity


@kernel
def rank_then_learn(
    pairs: Pairs,
    inputs: Inputs,
    head: Head,
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
        np.empty(bits + len(head[7]), np.float32),
        np.empty(catalogue.words.shape[1], np.uint64),
    )
    changed = np.empty(len(users), np.bool_)
    for i in range(len(users)):
        if trials[i]:
            by_codes, by_popularity = _try(pairs, inputs[0], head, catalogue, users[i], items[i], scratch)
            ranks.codes[i], ranks.popular[i] = by_codes, by_popularity
        changed[i] = learn(pairs, inputs, users[i], items[i], ratings[i], timestamps[i], offsets[i])
    return changed
