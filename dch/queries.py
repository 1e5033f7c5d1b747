"""Queries: what a search needs to know of a user, an inline history or an item, copied and free of locks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.codes import from_words, pack, unpack
from dch.errors import UnknownIdError
from dch.features import Features
from dch.ids import UNKNOWN, IdTable
from dch.ratings import Rows
from dch.snapshot import Snapshot
from dch.state import NO_ROWS, State
from dch.towers import Floats


class Query(NamedTuple):
    """Where a search starts: one side of it, and the generation to search."""

    snapshot: Snapshot
    relaxed: Floats | None  # (bits,); None where nothing is known
    vector: Floats | None  # (vector_size,) what candidates are reranked by; None: by the relaxed code
    seen: NDArray[np.int32]  # item rows already rated, newest first

    @property
    def code(self) -> bytes | None:
        """The packed code; None where nothing is known."""
        return None if self.relaxed is None else pack(self.relaxed[None])[0].tobytes()


def query_user(state: State, user: str) -> Query:
    """Copy what a search needs of a user."""
    row = state.memory.user_ids.row(user)
    if row == UNKNOWN:
        return Query(state.snapshot, None, None, NO_ROWS)
    with state.lock:
        snapshot, seen = state.snapshot, state.memory.user_histories.of(row)[0]
        if row >= len(snapshot.users.sums.squares):  # interned, and nothing folded in yet
            return Query(snapshot, None, None, seen)
        rows = np.array([row], np.int32)
        if not snapshot.users.has_code(rows)[0]:
            return Query(snapshot, None, None, seen)
        relaxed, vectors = snapshot.users.encoded(rows)
        return Query(snapshot, relaxed[0], vectors[0] if vectors.size else None, seen)


def query_history(
    state: State, history: Sequence[tuple[str, float]], features: Features | None = None
) -> Query:
    """Encode a history given inline, with features where there are any."""
    snapshot = state.snapshot
    latest = dict(history)
    ids = IdTable(latest)
    rows = Rows(
        np.array([0, len(latest)]),
        np.arange(len(latest), dtype=np.int32),
        np.array(list(latest.values()), np.float32),
    )
    seen = state.memory.item_ids.rows(latest)
    seen = seen[seen != UNKNOWN]
    weights = np.interp(rows.values, *snapshot.model.rating_knots.T)
    is_known = bool(((snapshot.model.user_vocabulary.of_others(ids) >= 0) & (weights > 0)).any())
    if not is_known:
        return Query(snapshot, None, None, seen)
    relaxed, vectors = snapshot.model.encode_users_with_vectors(rows, ids, [features])
    return Query(snapshot, relaxed[0], vectors[0] if vectors.size else None, seen)


def query_item(state: State, item: str) -> Query:
    """Take an item's code as the query; the item itself counts as seen.

    Raises:
        UnknownIdError: the item has no code.
    """
    snapshot, row = state.snapshot, state.memory.item_ids.row(item)
    store = snapshot.items.store
    if row == UNKNOWN or row >= len(store.present) or not store.present[row]:
        raise UnknownIdError(
            f"no code is known of item {item!r}; it needs a rating by a user of the fit, or known features"
        )
    signs = unpack(from_words(store.words[row : row + 1], store.bits), store.bits)[0]
    return Query(snapshot, signs.astype(np.float32), None, np.array([row], np.int32))
