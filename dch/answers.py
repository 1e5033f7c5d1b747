"""Answers: a query for a user, an inline history or an item, and the best items for it."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from dch.data.features import Features
from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import Rows
from dch.errors import ConfigError, UnknownIdError
from dch.models.codes import from_words, pack, to_words, unpack
from dch.models.towers import Floats, Ints
from dch.search import CANDIDATES, Nearest, nearest, nearest_of_each, rerank
from dch.search.reserved_positions import reserve, reserved_positions
from dch.search.scores import make_scorer
from dch.state.item_index import ItemColumns, popularity_of
from dch.state.popular_items import EVERYTHING, PopularItems, first_listed, in_order
from dch.state.snapshot import Snapshot
from dch.state.state import NO_ROWS, State, known_rows

Strategy = Literal["codes+rerank", "codes", "popular"]
STRATEGIES: tuple[Strategy, ...] = ("codes+rerank", "codes", "popular")

NO_VECTOR = np.empty(0, np.float32)


class Query(NamedTuple):
    """The input of a search: a relaxed code, a ranking vector and rated items, and the snapshot to search."""

    snapshot: Snapshot
    relaxed: Floats | None = None  # (bits,); None if nothing is known, which leads to the popular list
    vector: Floats = NO_VECTOR  # (vector_size,) ranking vector; empty: rerank by the relaxed code
    seen: Ints = NO_ROWS  # rows of the items already rated, newest first
    ratings: int | None = None  # number of ratings that the query rests on; None for an item

    @property
    def code(self) -> bytes | None:
        """The packed code; None if nothing is known."""
        return None if self.relaxed is None else pack(self.relaxed[None])[0].tobytes()


class Hit(NamedTuple):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance to the query; None in the popular list."""

    score: float
    """Larger is better. ``codes``: number of equal bits minus number of different bits. ``codes+rerank``:
    product of the ranking vectors, or of the relaxed code and the item's signs. ``popular``: number of
    positive ratings of the item."""


class Answer(NamedTuple):
    """A list and how it was made."""

    hits: list[Hit]
    strategy: Strategy
    """The strategy that was used: ``popular`` if nothing was known to search for."""

    generation: int
    code: bytes | None
    """The packed code that was searched for; None in the popular list."""

    ratings: int | None
    """How many ratings the list rests on: the live ratings of the user, or the items of an inline history.
    None for similar items. Ratings of items that the fit never saw count too, though they change no code."""

    generation_hash: str = ""
    """Tells models of one generation apart; see ``Model.generation_hash``."""


def query_user(state: State, user: str) -> Query:
    """Return the query for a user, with a copy of the user's data, all of it as at one moment."""
    row = state.history.user_ids.row(user)
    if row == UNKNOWN:
        return Query(state.snapshot, ratings=0)
    rows = np.array([row], np.int32)
    with state.lock:
        snapshot, seen = state.snapshot, state.history.user_histories.of(row)[0]
        if not snapshot.users.has_code(rows)[0]:
            return Query(snapshot, seen=seen, ratings=len(seen))
        relaxed, vectors = snapshot.users.encode(rows)
    return Query(snapshot, relaxed[0], vectors[0], seen, len(seen))


def query_history(
    state: State, history: Sequence[tuple[str, float]], features: Features | None = None
) -> Query:
    """Return the query for an inline history of (item, rating), with optional user features.

    Of several ratings of one item, the last one counts.
    """
    snapshot = state.snapshot
    latest = dict(history)
    ids = IdTable(latest)
    rows = Rows(
        np.array([0, len(latest)]),
        np.arange(len(latest), dtype=np.int32),
        np.array(list(latest.values()), np.float32),
    )
    seen = known_rows(state.history.item_ids.rows(latest))
    weights = np.interp(rows.values, *snapshot.model.rating_knots.T)
    is_known = bool(((snapshot.model.user_vocabulary.of_others(ids) >= 0) & (weights > 0)).any())
    if not is_known:
        return Query(snapshot, seen=seen, ratings=len(latest))
    relaxed, vectors = snapshot.model.encode_users_with_vectors(rows, ids, [features])
    return Query(snapshot, relaxed[0], vectors[0], seen, len(latest))


def query_item(state: State, item: str) -> Query:
    """Return the query for an item: its code, with the item itself as already seen.

    Raises:
        UnknownIdError: the item has no code.
    """
    rows = state.history.item_ids.rows([item])
    with state.lock:
        snapshot = state.snapshot
        if not snapshot.item_index.has_code(rows)[0]:
            raise UnknownIdError(
                f"item {item!r} has no code; it needs a rating by a user of the training data, or known "
                "features"
            )
        words = snapshot.item_index.view().words[rows]
    bits = snapshot.item_index.bits
    signs = unpack(from_words(words, bits), bits)[0]
    return Query(snapshot, signs.astype(np.float32), seen=rows)


class Question(NamedTuple):
    """A query and what its list may hold; see ``question``."""

    query: Query
    k: int
    strategy: Strategy  # the one that is used
    skip: Ints
    only: Ints | None
    n_new: int  # positions reserved for new items

    @property
    def n_candidates(self) -> int:
        """How many of the nearest codes the list is made from."""
        return self.k if self.strategy == "codes" else max(self.k, CANDIDATES)


def question(
    query: Query,
    k: int,
    *,
    strategy: Strategy = "codes+rerank",
    skip: Ints,
    only: Ints | None = None,
    new_item_share: float = 0.0,
) -> Question:
    """Ask for the k best items that are available and not skipped; fewer only if fewer exist.

    Order of ``codes``: distance, popularity, id. Of ``codes+rerank``: the nearest 200 (or k, if that is more)
    by distance, then sorted by score, distance, popularity, id. Of ``popular``: popularity, id.

    New items are those that the fit of this generation never saw. If fewer than ``new_item_share`` of the k
    positions (rounded, at least 1) hold new items, the best other new items by the same strategy replace the
    last of the rest, and the list is put in its order again.

    Args:
        query: what to search for.
        k: list length.
        strategy: one of STRATEGIES.
        skip: (m,) item rows never to return.
        only: item rows to choose from; None means all.
        new_item_share: 0 to 1.

    Raises:
        ConfigError: k, the strategy or the share is out of range.
    """
    _check(k, strategy, new_item_share)
    used: Strategy = "popular" if query.relaxed is None else strategy
    return Question(query, k, used, skip, only, reserved_positions(k, new_item_share))


def answer_all(questions: Sequence[Question], ids: IdTable) -> list[Answer]:
    """Answer each question, from the items as they are at one moment.

    Those that search all codes share one pass over them.
    """

    def search() -> list[Answer]:
        return _answer_all(questions, ids)

    for item_index in {
        id(asked.query.snapshot): asked.query.snapshot.item_index for asked in questions
    }.values():
        search = partial(item_index.read, search)
    return search()


def _answer_all(questions: Sequence[Question], ids: IdTable) -> list[Answer]:
    candidates: dict[int, Nearest] = {}
    for at, asked in enumerate(questions):
        if at not in candidates and _searches_all(asked):
            same = [
                other
                for other in range(at, len(questions))
                if _searches_all(questions[other]) and questions[other].query.snapshot is asked.query.snapshot
            ]
            candidates |= zip(same, _nearest_of_each([questions[other] for other in same]), strict=True)
    return [_answer(asked, candidates.get(at), ids) for at, asked in enumerate(questions)]


def _answer(asked: Question, candidates: Nearest | None, ids: IdTable) -> Answer:
    query, item_index = asked.query, asked.query.snapshot.item_index
    popular, new_rows = (
        item_index.popular,
        item_index.new_rows,
    )  # before the view, which then holds their rows
    items = item_index.view()
    if candidates is not None:
        found = _ranked(asked, candidates, items, asked.k)
    elif asked.only is not None:
        found = _best_among(asked, np.unique(asked.only), items, asked.k)
    else:
        found = _most_popular(asked, popular, items)
    if asked.n_new:
        rows = new_rows if asked.only is None else np.intersect1d(new_rows, asked.only)
        new = _best_among(asked, rows, items, asked.n_new)
        by_score = asked.strategy == "codes+rerank"
        reserve(by_score, len(found.rows), *found, *new, items.is_new, items.precedence)
    hits, model = _hits(found, items, ids, asked.strategy), query.snapshot.model
    return Answer(hits, asked.strategy, model.generation, query.code, query.ratings, model.generation_hash)


def _check(k: int, strategy: str, new_item_share: float) -> None:
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}")
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    if not 0 <= new_item_share <= 1:
        raise ConfigError(f"new_item_share must be from 0 to 1, got {new_item_share}")


def _searches_all(asked: Question) -> bool:
    return asked.strategy != "popular" and asked.only is None


def _nearest_of_each(asked: Sequence[Question]) -> list[Nearest]:
    """Return the candidates of questions about one snapshot."""
    items = asked[0].query.snapshot.item_index.view()
    relaxed = np.array([one.query.relaxed for one in asked])
    return nearest_of_each(
        items.words,
        to_words(pack(relaxed)),
        [one.n_candidates for one in asked],
        skips=[one.skip for one in asked],
        eligible=items.allowed.view(np.bool_),
        popularity=items.precedence,
        bits=relaxed.shape[1],
    )


def _best_among(asked: Question, rows: Ints, items: ItemColumns, k: int) -> Nearest:
    """Return the best k of these rows, ascending, without a pass over the other items."""
    rows = first_listed(rows, items.allowed, np.sort(asked.skip), len(rows))
    if asked.strategy == "popular":
        return _unscored(_in_order(rows, items, k))
    found = nearest(
        items.words[rows],
        to_words(pack(np.array([asked.query.relaxed])))[0],
        asked._replace(k=k).n_candidates,
        popularity=items.precedence[rows],
        bits=asked.query.snapshot.item_index.bits,
    )
    return _ranked(asked, found._replace(rows=rows[found.rows]), items, k)


def _ranked(asked: Question, candidates: Nearest, items: ItemColumns, k: int) -> Nearest:
    """Return the best k candidates by the strategy."""
    if asked.strategy == "codes" or asked.query.relaxed is None:
        return candidates.head(k)
    scorer = make_scorer(items.words, items.vectors, asked.query.relaxed, asked.query.vector)
    return rerank(candidates, k, scorer, popularity=items.precedence)


def _most_popular(asked: Question, popular: PopularItems, items: ItemColumns) -> Nearest:
    rows = first_listed(popular.rows, items.allowed, np.sort(asked.skip), asked.k)
    if len(rows) < asked.k and popular.floor != EVERYTHING:  # the user has rated nearly all popular items
        allowed = items.allowed.copy()
        allowed[asked.skip[asked.skip < len(allowed)]] = 0
        rows = _in_order(np.flatnonzero(allowed).astype(np.int32), items, asked.k)
    return _unscored(rows)


def _in_order(rows: Ints, items: ItemColumns, k: int) -> Ints:
    """Return the first k of these rows, ascending, in the order of popular lists."""
    precedence = items.precedence[rows]
    if len(rows) > k:  # sorting many items for a short list would make this the slowest answer
        rows = rows[precedence >= -np.partition(-precedence, k - 1)[k - 1]]
    return in_order(rows, items.precedence)[:k]


def _unscored(rows: Ints) -> Nearest:
    return Nearest(rows, np.zeros(len(rows), np.int32), np.zeros(len(rows), np.float32))


def _hits(found: Nearest, items: ItemColumns, ids: IdTable, strategy: Strategy) -> list[Hit]:
    rows = found.rows.tolist()
    if strategy == "popular":
        counts = popularity_of(items.precedence[found.rows]).tolist()
        return [Hit(ids[row], None, float(count)) for row, count in zip(rows, counts, strict=True)]
    table = (rows, found.distances.tolist(), found.scores.tolist())
    return [Hit(ids[row], distance, score) for row, distance, score in zip(*table, strict=True)]
