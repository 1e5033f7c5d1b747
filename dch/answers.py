"""Answers: the best items for a query, by the strategy that it asks for."""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from dch.data.ids import IdTable
from dch.errors import ConfigError
from dch.models.codes import Words
from dch.models.neighbours import NOTHING_RATED
from dch.models.towers import Ints
from dch.queries import Query
from dch.reasons import Reason, reasons_of
from dch.search import CANDIDATES, Nearest, nearest, nearest_of_each, rerank
from dch.search.neighbour_scores import Items, rerank_with_neighbours
from dch.search.query_words import make_queries
from dch.search.reserved_positions import reserve, reserve_at_end, reserved_positions
from dch.search.scores import make_scorer
from dch.state.item_index import ItemColumns, popularity_of
from dch.state.popular_items import EVERYTHING, PopularItems, first_listed, in_order

Strategy = Literal[
    "codes+rerank", "codes", "codes-weighted", "popular", "codes+rerank+neighbours", "features"
]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
BY_CODE: tuple[Strategy, ...] = ("codes", "codes-weighted")
"""The strategies whose lists are in the order of the distance."""

BY_SCORE: tuple[Strategy, ...] = ("codes+rerank", "codes+rerank+neighbours", "features")
"""The strategies whose lists are in the order of the score."""

WITHOUT_CODE: tuple[Strategy, ...] = ("popular", "features")
"""The strategies that search no codes."""

LIFTED = 500
"""Popular items that features put in another order."""


class Hit(NamedTuple):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance to the query, weighted if the search was; None for ``popular`` and ``features``."""

    score: float
    """Larger is better. ``codes``: number of equal bits minus number of different bits; ``codes-weighted``:
    weight of the equal bits minus weight of the different bits. ``codes+rerank``: product of the ranking
    vectors, or of the relaxed code and the item's signs; with neighbours, plus their part; for similar items,
    that part alone, -1 to 1; with neighbours, an item newer than the fit has the score of the item after it.
    ``popular``: number of positive ratings of the item. ``features``: logarithm of that number, plus the
    lifts of the user's features."""

    because: tuple[Reason, ...] = ()
    """At most three rated items that speak for this one, strongest first. Empty unless they were asked for,
    in the popular list, and where no rated item speaks for this one."""


class Answer(NamedTuple):
    """A list and how it was made."""

    hits: list[Hit]
    strategy: Strategy
    """The strategy that was used: without ratings ``features``, or ``popular`` if no features were known
    either, and never one with neighbours if the model has none."""

    generation: int
    code: bytes | None
    """The packed code; None if there is none."""

    ratings: int | None
    """How many ratings the list rests on: the live ratings of the user, or the items of an inline history.
    None for similar items. Ratings of items that the fit never saw count too, though they change no code."""

    generation_hash: str = ""
    """Tells models of one generation apart; see ``Model.generation_hash``."""


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
        return self.k if self.strategy in BY_CODE else max(self.k, CANDIDATES)

    @property
    def for_new(self) -> "Question":
        """The question for the new items alone, which have no neighbours."""
        return self._replace(query=self.query._replace(rated=NOTHING_RATED), k=self.n_new, n_new=0)

    @property
    def is_weighted(self) -> bool:
        """Whether the nearest codes are searched by weighted distance."""
        if self.strategy in BY_CODE:
            return self.strategy == "codes-weighted"
        return self.query.snapshot.model.is_weighted and self.query.has_heavy_bits

    @property
    def words(self) -> Words:
        """What is searched for: see ``dch.search.query_words``. Only for a query with a code."""
        assert self.query.relaxed is not None
        words: Words = make_queries(self.query.relaxed[None], is_weighted=self.is_weighted)[0]
        return words


def question(
    query: Query,
    k: int,
    *,
    strategy: Strategy | None = None,
    skip: Ints,
    only: Ints | None = None,
    new_item_share: float = 0.0,
) -> Question:
    """Ask for the k best items that are available and not skipped; fewer only if fewer exist.

    Order of ``codes``: distance, popularity, id. Of ``codes-weighted``: the same by weighted distance, where
    the half of the bits that the query decides most clearly counts twice; for an item it is ``codes``. Of
    ``codes+rerank``: the nearest 200 (or k, if that is more) by distance, weighted if ``Model.is_weighted``,
    then sorted by score, distance, popularity, id. Of ``codes+rerank+neighbours``: these and the
    200 strongest neighbours of the user's ratings, sorted in the same way by another score; for an item,
    first the items that a rating of it speaks for, then the nearest codes; items newer than the fit are where
    the list without neighbours has them. Of ``popular``: popularity, id.
    Of ``features``: the 500 most popular (or k, if that is more), then sorted by score, popularity, id.

    New items are those that the fit of this generation never saw. If fewer than ``new_item_share`` of the k
    positions (rounded, halves up) hold new items, the best other new items by the same strategy replace the
    last of the rest, and the list is put in its order again; with neighbours, they become its last items.

    Args:
        query: what to search for.
        k: list length.
        strategy: one of STRATEGIES; None is ``codes+rerank+neighbours``, or ``codes+rerank`` if the model has
            no neighbours.
        skip: (m,) item rows never to return.
        only: item rows to choose from; None means all.
        new_item_share: 0 to 1.

    Raises:
        ConfigError: k, the strategy or the share is out of range.
    """
    _check(k, strategy)
    return Question(query, k, _used(query, strategy), skip, only, reserved_positions(k, new_item_share))


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
    candidates = _together(questions, _searches_all, _nearest_of_each)
    lists = [_list(asked, candidates.get(at)) for at, asked in enumerate(questions)]
    lacking = [at for at, asked in enumerate(questions) if _lacks_new(asked, lists[at])]
    asking = [questions[at].for_new for at in lacking]
    new = _together(asking, _searches_all, _nearest_new_of_each)
    for i, at in enumerate(lacking):
        _reserve(asking[i], lists[at], new.get(i))
    return [_answer(asked, found, ids) for asked, found in zip(questions, lists, strict=True)]


def _together(
    questions: Sequence[Question],
    is_chosen: Callable[[Question], bool],
    search: Callable[[Sequence[Question]], list[Nearest]],
) -> dict[int, Nearest]:
    """Return what a search finds for some questions, by position; those of one kind share one search."""
    kinds: dict[tuple[int, bool], list[int]] = {}
    for at, asked in enumerate(questions):
        if is_chosen(asked):
            kinds.setdefault((id(asked.query.snapshot), asked.is_weighted), []).append(at)
    found: dict[int, Nearest] = {}
    for same in kinds.values():
        found |= zip(same, search([questions[at] for at in same]), strict=True)
    return found


def _list(asked: Question, candidates: Nearest | None) -> Nearest:
    """Return the list without reserved positions."""
    item_index = asked.query.snapshot.item_index
    popular = item_index.popular  # before the view, which holds its rows
    items = item_index.view()
    if candidates is not None:
        return _ranked(asked, candidates, items, asked.k)
    if asked.only is not None:
        return _best_among(asked, np.unique(asked.only), items, asked.k)
    return _most_popular(asked, popular, items)


def _lacks_new(asked: Question, found: Nearest) -> bool:
    """Return whether positions must be reserved: a list with enough new items stays as it is."""
    item_index = asked.query.snapshot.item_index
    if not asked.n_new or not len(item_index.new_rows):
        return False
    return int(item_index.view().is_new[found.rows].sum()) < asked.n_new


def _reserve(asked: Question, found: Nearest, candidates: Nearest | None) -> None:
    """Move the best new items into a list; ``asked`` is the question for these."""
    item_index = asked.query.snapshot.item_index
    new_rows = item_index.new_rows
    items = item_index.view()
    if candidates is not None:
        new = _ranked(asked, candidates, items, asked.k)
    else:
        new = _best_among(
            asked, new_rows if asked.only is None else _new_among(asked.only, items), items, asked.k
        )
    if asked.strategy == "codes+rerank+neighbours":
        reserve_at_end(*found, *new, items.is_new)
    else:
        by_score = asked.strategy in BY_SCORE
        reserve(by_score, len(found.rows), *found, *new, items.is_new, items.precedence)


def _new_among(only: Ints, items: ItemColumns) -> Ints:
    """Return the new items among some rows, ascending, without a pass over the others."""
    rows = np.unique(only)
    rows = rows[rows < len(items.is_new)]
    new: Ints = rows[items.is_new[rows] > 0]
    return new


def _answer(asked: Question, found: Nearest, ids: IdTable) -> Answer:
    query = asked.query
    items = query.snapshot.item_index.view()
    hits, model = _hits(found, items, ids, asked.strategy), query.snapshot.model
    if query.evidence is not None and asked.strategy not in WITHOUT_CODE:
        by_code, by_neighbours = asked.strategy in BY_CODE, asked.strategy == "codes+rerank+neighbours"
        because = reasons_of(
            query.evidence, model, items, found.rows, ids, by_code=by_code, by_neighbours=by_neighbours
        )
        hits = [hit._replace(because=of_hit) for hit, of_hit in zip(hits, because, strict=True)]
    return Answer(hits, asked.strategy, model.generation, query.code, query.ratings, model.generation_hash)


def _used(query: Query, strategy: Strategy | None) -> Strategy:
    if strategy == "features" or (query.relaxed is None and strategy != "popular"):
        return "features" if len(query.tokens) else "popular"
    if strategy in (None, "codes+rerank+neighbours"):
        is_known = len(query.vector) or len(query.rated.items)
        has_none = query.snapshot.model.neighbours.is_empty or not is_known
        return "codes+rerank" if has_none else "codes+rerank+neighbours"
    if strategy == "codes-weighted" and not query.has_heavy_bits:
        return "codes"
    return strategy


def _check(k: int, strategy: str | None) -> None:
    try:
        operator.index(k)
    except TypeError:
        raise ConfigError(f"k must be a whole number, got {k!r}") from None
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}")
    if strategy is not None and strategy not in STRATEGIES:
        raise ConfigError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")


def _searches_all(asked: Question) -> bool:
    return asked.strategy not in WITHOUT_CODE and asked.only is None


def _nearest_of_each(asked: Sequence[Question]) -> list[Nearest]:
    """Return the candidates of questions about one snapshot."""
    items = asked[0].query.snapshot.item_index.view()
    return nearest_of_each(
        items.words,
        np.array([one.words for one in asked]),
        [one.n_candidates for one in asked],
        skips=[one.skip for one in asked],
        eligible=items.allowed.view(np.bool_),
        popularity=items.precedence,
        bits=asked[0].query.snapshot.item_index.bits,
    )


def _nearest_new_of_each(asked: Sequence[Question]) -> list[Nearest]:
    """Return the nearest new items of questions about one snapshot, in one pass over the new items."""
    item_index = asked[0].query.snapshot.item_index
    rows, items = item_index.new_rows, item_index.view()
    rows = rows[: np.searchsorted(rows, len(items.allowed))]  # the view may be older
    found = nearest_of_each(
        items.words[rows],
        np.array([one.words for one in asked]),
        [one.n_candidates for one in asked],
        skips=[_positions(rows, one.skip) for one in asked],
        eligible=items.allowed[rows].view(np.bool_),
        popularity=items.precedence[rows],
        bits=item_index.bits,
    )
    return [one._replace(rows=rows[one.rows]) for one in found]


def _positions(rows: Ints, wanted: Ints) -> Ints:
    """Return the positions in ascending rows of those that are wanted and among them."""
    positions = np.searchsorted(rows, wanted).astype(np.int32)
    found: Ints = positions[np.append(rows, -1)[positions] == wanted]
    return found


def _best_among(asked: Question, rows: Ints, items: ItemColumns, k: int) -> Nearest:
    """Return the best k of these rows, ascending, without a pass over the other items."""
    rows = first_listed(rows, items.allowed, np.sort(asked.skip), len(rows))
    if asked.strategy == "popular":
        return _unscored(_in_order(rows, items, k))
    if asked.strategy == "features":
        return by_features(asked.query, rows, items, k)
    found = nearest(
        items.words[rows],
        asked.words,
        asked._replace(k=k).n_candidates,
        popularity=items.precedence[rows],
        bits=asked.query.snapshot.item_index.bits,
    )
    return _ranked(asked, found._replace(rows=rows[found.rows]), items, k, among=rows)


def _ranked(
    asked: Question, candidates: Nearest, items: ItemColumns, k: int, among: Ints | None = None
) -> Nearest:
    """Return the best k candidates by the strategy; only rows of ``among``, ascending, may be added."""
    if asked.strategy in BY_CODE or asked.query.relaxed is None:
        return candidates.head(k)
    if asked.strategy == "codes+rerank+neighbours":
        return with_neighbours(asked, candidates.rows, items, k, among)
    scorer = make_scorer(items.words, items.vectors, asked.query.relaxed, asked.query.vector)
    return rerank(candidates, k, scorer, popularity=items.precedence)


def with_neighbours(
    asked: Question, candidates: Ints, items: ItemColumns, k: int, among: Ints | None = None
) -> Nearest:
    """Return the best k of the candidates and of the neighbours of a query that has a code.

    Args:
        asked: what to search for, and the rows that are never added.
        candidates: (m,) rows of the nearest codes.
        items: the columns of the index; only allowed rows are added as neighbours.
        k: list length.
        among: (n_chosen,) ascending; of all allowed rows only these are added; None adds any.
    """
    query, index = asked.query, asked.query.snapshot.item_index
    return rerank_with_neighbours(
        candidates,
        k,
        Items(
            items.words, items.vectors, items.allowed, items.precedence, items.fitted, index.rows_of_fitted
        ),
        query.snapshot.model.neighbours,
        query.rated,
        asked.words,
        query.vector,
        asked.skip,
        among,
    )


def by_features(query: Query, rows: Ints, items: ItemColumns, k: int) -> Nearest:
    """Return the best k of these rows, by popularity and the lifts of the features of a query."""
    precedence = items.precedence[rows]
    lifts = query.snapshot.model.lifts
    scores = lifts.scores(query.tokens, items.fitted[rows], popularity_of(precedence))
    best = np.lexsort((-precedence, -scores))[:k]
    return Nearest(rows[best], np.zeros(len(best), np.int32), scores[best])


def _most_popular(asked: Question, popular: PopularItems, items: ItemColumns) -> Nearest:
    if asked.strategy == "features":
        candidates = _popular_rows(asked, popular, items, max(asked.k, LIFTED))
        return by_features(asked.query, candidates, items, asked.k)
    return _unscored(_popular_rows(asked, popular, items, asked.k))


def _popular_rows(asked: Question, popular: PopularItems, items: ItemColumns, k: int) -> Ints:
    rows = first_listed(popular.rows, items.allowed, np.sort(asked.skip), k)
    if len(rows) < k and popular.floor != EVERYTHING:  # the user has rated nearly all popular items
        allowed = items.allowed.copy()
        allowed[asked.skip[asked.skip < len(allowed)]] = 0
        rows = _in_order(np.flatnonzero(allowed).astype(np.int32), items, k)
    return rows


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
    if strategy == "features":
        return [Hit(ids[row], None, score) for row, score in zip(rows, found.scores.tolist(), strict=True)]
    table = (rows, found.distances.tolist(), found.scores.tolist())
    return [Hit(ids[row], distance, score) for row, distance, score in zip(*table, strict=True)]
