"""Queries: what a search needs to know of a user, an inline history or an item, as at one moment."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dch.data.features import Features
from dch.data.features import tokens as tokens_of
from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import Rows
from dch.errors import UnknownIdError
from dch.models.codes import from_words, pack, unpack
from dch.models.neighbours import LATEST, NOTHING_RATED, RATING_STEPS, Rated, rated
from dch.models.towers import Floats, Ints
from dch.reasons import Evidence, evidence_of_history, evidence_of_user
from dch.state.changed_rows import NO_ROWS
from dch.state.neighbour_trials import rated_by
from dch.state.snapshot import Snapshot
from dch.state.state import State, known_rows

NO_VECTOR = np.empty(0, np.float32)


class Query(NamedTuple):
    """The input of a search: a relaxed code, a ranking vector and rated items, and the snapshot to search."""

    snapshot: Snapshot
    relaxed: Floats | None = None  # (bits,); None if nothing is known, which leads to the popular list
    vector: Floats = NO_VECTOR  # (vector_size,) ranking vector; empty: rerank by the relaxed code
    seen: Ints = NO_ROWS  # rows of the items already rated, newest first
    rated: Rated = NOTHING_RATED  # the latest ratings that neighbours may know
    ratings: int | None = None  # number of ratings that the query rests on; None for an item
    evidence: Evidence | None = None  # what reasons are found from; None if none are asked for
    tokens: Ints = NO_ROWS  # the user's feature tokens that have lifts, as rows of ``Model.user_tokens``

    @property
    def code(self) -> bytes | None:
        """The packed code; None if nothing is known."""
        return None if self.relaxed is None else pack(self.relaxed[None])[0].tobytes()

    @property
    def has_heavy_bits(self) -> bool:
        """Whether bits differ in how clearly they are decided: those of an item are given as signs."""
        return self.ratings is not None


def query_user(state: State, user: str, *, explain: bool = False) -> Query:
    """Return the query for a user, with a copy of the user's data, all of it as at one moment.

    Args:
        state: the state.
        user: the id.
        explain: also take what the reasons for the hits are found from.
    """
    row = state.history.user_ids.row(user)
    if row == UNKNOWN:
        return Query(state.snapshot, ratings=0)
    rows = np.array([row], np.int32)
    with state.lock:
        snapshot, seen = state.snapshot, state.history.user_histories.of(row)[0]
        tokens = snapshot.model.lifts.known(snapshot.users.bags.features_of(row))
        if not snapshot.users.has_code(rows)[0]:
            return Query(snapshot, seen=seen, ratings=len(seen), tokens=tokens)
        relaxed, vectors = snapshot.users.encode(rows)
        ratings_of_user = rated_by(state.history, snapshot, row)
        evidence = evidence_of_user(state, snapshot, row) if explain else None
    return Query(snapshot, relaxed[0], vectors[0], seen, ratings_of_user, len(seen), evidence, tokens)


def query_history(
    state: State,
    history: Sequence[tuple[str, float]],
    features: Features | None = None,
    *,
    explain: bool = False,
) -> Query:
    """Return the query for an inline history of (item, rating), oldest first, with optional user features.

    Of several ratings of one item, the last one counts, at its place. See ``query_user`` for ``explain``.
    """
    snapshot = state.snapshot
    latest = _latest_of_each(history)
    ids = IdTable(latest)
    rows = Rows(
        np.array([0, len(latest)]),
        np.arange(len(latest), dtype=np.int32),
        np.array(list(latest.values()), np.float32),
    )
    seen = known_rows(state.history.item_ids.rows(latest))
    weights = np.interp(rows.values, *snapshot.model.rating_knots.T)
    is_known = bool(((snapshot.model.user_vocabulary.of_others(ids) >= 0) & (weights > 0)).any())
    tokens = snapshot.model.user_tokens.rows(tokens_of(features or {}))
    tokens = snapshot.model.lifts.known(known_rows(tokens))
    if not is_known:
        return Query(snapshot, seen=seen, ratings=len(latest), tokens=tokens)
    relaxed, vectors = snapshot.model.encode_users_with_vectors(rows, ids, [features])
    last = rated(
        snapshot.model.user_vocabulary.of_others(ids)[-LATEST:],
        rows.values[-LATEST:],
        snapshot.model.rating_knots,
    )
    evidence = None
    if explain:
        bag = snapshot.model.bags_of_users(rows, ids, [features])
        evidence = evidence_of_history(state, snapshot.model, ids, rows.values, bag)
    return Query(snapshot, relaxed[0], vectors[0], seen, last, len(latest), evidence, tokens)


def _latest_of_each(history: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the last rating of each item, in the order of these last ratings."""
    latest: dict[str, float] = {}
    for item, rating in history:
        latest.pop(item, None)  # a key that is set again would keep its old place
        latest[item] = rating
    return latest


def query_item(state: State, item: str) -> Query:
    """Return the query for an item: its code and a rating of it, with the item itself as already seen.

    Raises:
        UnknownIdError: the item has no code.
    """
    snapshot, rows = state.snapshot, state.history.item_ids.rows([item])
    with snapshot.item_index.reading() as served:
        if not served.has_code(int(rows[0])):
            raise UnknownIdError(
                f"item {item!r} has no code; it needs a rating by a user of the training data, or known "
                "features"
            )
        words, fitted = served.columns.words[rows], served.columns.fitted[rows]
    bits = snapshot.item_index.bits
    signs = unpack(from_words(words, bits), bits)[0]
    liked = Rated(fitted, np.array([RATING_STEPS], np.int64)) if fitted[0] >= 0 else NOTHING_RATED
    return Query(snapshot, signs.astype(np.float32), seen=rows, rated=liked)
