"""Answers: what is asked for (a user, an inline history, an item), and the best items for it."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import Rows
from dch.errors import ConfigError, UnknownIdError
from dch.models.codes import from_words, pack, to_words, unpack
from dch.models.towers import Floats
from dch.search import CANDIDATES, Nearest, nearest, rerank
from dch.search.reserve import reserve, reserved_places
from dch.search.scores import make_scorer
from dch.state.item_index import ItemColumns
from dch.state.snapshot import Snapshot
from dch.state.state import NO_ROWS, State

Strategy = Literal["codes+rerank", "codes", "popular"]
STRATEGIES: tuple[Strategy, ...] = ("codes+rerank", "codes", "popular")


NO_VECTOR = np.empty(0, np.float32)


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
    row = state.history.user_ids.row(user)
    if row == UNKNOWN:
        return Query(state.snapshot, None, None, NO_ROWS)
    with state.lock:
        snapshot, seen = state.snapshot, state.history.user_histories.of(row)[0]
        if row >= len(snapshot.users.bags.sums.squares):  # interned, and nothing folded in yet
            return Query(snapshot, None, None, seen)
        rows = np.array([row], np.int32)
        if not snapshot.users.has_code(rows)[0]:
            return Query(snapshot, None, None, seen)
        relaxed, vectors = snapshot.users.encode(rows)
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
    seen = state.history.item_ids.rows(latest)
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
    snapshot, row = state.snapshot, state.history.item_ids.row(item)
    rows = np.array([row], np.int32)
    if not snapshot.item_index.has_code(rows)[0]:
        raise UnknownIdError(
            f"no code is known of item {item!r}; it needs a rating by a user of the fit, or known features"
        )
    bits = snapshot.item_index.bits
    signs = unpack(from_words(snapshot.item_index.view().words[rows], bits), bits)[0]
    return Query(snapshot, signs.astype(np.float32), None, rows)


class Hit(NamedTuple):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance to the query; None in the popular list."""

    score: float
    """Larger is better. Of ``codes``: bits that agree less those that differ; of ``codes+rerank``: product
    of ranking vectors, or relaxed query . item bits; of ``popular``: the positive ratings of the item."""


class Answer(NamedTuple):
    """A list and how it came about."""

    hits: list[Hit]
    strategy: Strategy
    """What was used: ``popular`` where nothing is known of whom to search for."""

    generation: int
    code: bytes | None


def answer(
    query: Query,
    k: int,
    ids: IdTable,
    *,
    strategy: Strategy = "codes+rerank",
    skip: NDArray[np.int32],
    only: NDArray[np.int32] | None = None,
    new_item_share: float = 0.0,
) -> Answer:
    """Find the k best items that are available and not skipped; fewer only when fewer exist.

    Order of ``codes``: distance, popularity, id. Of ``codes+rerank``: the nearest 200 (or k) by distance,
    then score, distance, popularity, id. Of ``popular``: popularity, id.

    Where fewer than ``new_item_share`` of the k places (rounded, at least 1) went to new items, which the fit
    of this generation never saw, the best other new ones that the strategy finds replace the last of the
    rest, and the list is put in the same order again.

    Args:
        query: where to start from.
        k: list length.
        ids: the item ids.
        strategy: one of STRATEGIES.
        skip: (m,) item rows never to return.
        only: item rows to choose from; None is all.
        new_item_share: 0 to 1.

    Raises:
        ConfigError: k, the strategy or the share is out of range.
    """
    _check(k, strategy, new_item_share)
    columns = _restricted(query.snapshot.item_index.view(), only)
    used: Strategy = "popular" if query.relaxed is None else strategy
    n_new = reserved_places(k, new_item_share)
    found = _best(query, columns, k, skip, used)
    if n_new:
        new = _best_new(query, columns, n_new, skip, used)
        by_score = used == "codes+rerank"
        reserve(by_score, len(found.rows), *found, *new, columns.is_new, columns.precedence)
    return Answer(_hits(found, columns, ids, used), used, query.snapshot.model.generation, query.code)


def _check(k: int, strategy: str, new_item_share: float) -> None:
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}")
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    if not 0 <= new_item_share <= 1:
        raise ConfigError(f"new_item_share must be from 0 to 1, got {new_item_share}")


def _restricted(columns: ItemColumns, only: NDArray[np.int32] | None) -> ItemColumns:
    if only is None:
        return columns
    chosen = only[only < len(columns.allowed)]
    allowed = np.zeros_like(columns.allowed)
    allowed[chosen] = columns.allowed[chosen]
    return columns._replace(allowed=allowed)


def _best(
    query: Query,
    columns: ItemColumns,
    k: int,
    skip: NDArray[np.int32],
    strategy: Strategy,
) -> Nearest:
    if strategy == "popular" or query.relaxed is None:
        return _popular(columns, k, skip)
    if strategy == "codes":
        return _nearest(query.relaxed, columns, k, skip)
    candidates = _nearest(query.relaxed, columns, max(k, CANDIDATES), skip)
    vector = NO_VECTOR if query.vector is None else query.vector
    scorer = make_scorer(columns.words, columns.vectors, query.relaxed, vector)
    return rerank(candidates, k, scorer, popularity=columns.precedence)


def _best_new(
    query: Query,
    columns: ItemColumns,
    k: int,
    skip: NDArray[np.int32],
    strategy: Strategy,
) -> Nearest:
    allowed = columns.allowed & columns.is_new
    allowed[skip[skip < len(allowed)]] = 0
    rows = np.flatnonzero(allowed.view(np.bool_))
    # Copied: a mask over all codes, with few of them allowed, takes ten times as long.
    chosen: list[Any] = [column.take(rows, axis=0) for column in columns._replace(allowed=allowed)]
    found = _best(query, ItemColumns(*chosen), k, skip[:0], strategy)
    return found._replace(rows=rows[found.rows].astype(np.int32))


def _nearest(relaxed: NDArray[np.float32], columns: ItemColumns, k: int, skip: NDArray[np.int32]) -> Nearest:
    return nearest(
        columns.words,
        to_words(pack(relaxed[None]))[0],
        k,
        skip=skip,
        eligible=columns.allowed.view(np.bool_),
        popularity=columns.precedence,
        bits=len(relaxed),
    )


def _popular(columns: ItemColumns, k: int, skip: NDArray[np.int32]) -> Nearest:
    allowed = columns.allowed.copy()
    allowed[skip[skip < len(allowed)]] = 0
    rows = np.flatnonzero(allowed).astype(np.int32)
    if len(rows) > k:  # a full sort of a large columns for twenty items would be the slowest answer of all
        rows = rows[np.argpartition(-columns.precedence[rows], k)[:k]]
    rows = rows[np.argsort(-columns.precedence[rows], kind="stable")]
    return Nearest(rows, np.zeros(len(rows), np.int32), np.zeros(len(rows), np.float32))


def _hits(found: Nearest, columns: ItemColumns, ids: IdTable, strategy: Strategy) -> list[Hit]:
    rows = found.rows.tolist()
    if strategy == "popular":
        counts = (columns.precedence[found.rows] >> 32).tolist()
        return [Hit(ids[row], None, float(count)) for row, count in zip(rows, counts, strict=True)]
    table = (rows, found.distances.tolist(), found.scores.tolist())
    return [Hit(ids[row], distance, score) for row, distance, score in zip(*table, strict=True)]
