"""Lists: the best items for a question by its strategy, from the items as they are at one moment."""

from collections.abc import Sequence

import numpy as np

from dch.models.towers import Ints
from dch.queries import Query
from dch.questions import BY_CODE, BY_SCORE, WITHOUT_CODE, Question
from dch.search import Nearest, nearest, nearest_of_each, rerank
from dch.search.neighbour_scores import Items, rerank_with_neighbours
from dch.search.reserved_positions import reserve, reserve_at_end
from dch.search.scores import make_scorer
from dch.state.item_columns import ItemColumns, popularity_of
from dch.state.item_index import Served
from dch.state.popular_items import EVERYTHING, PopularItems, first_listed, in_order

LIFTED = 500
"""Popular items that features put in another order."""


def searches_all(asked: Question) -> bool:
    """Return whether the list of a question is made from a search of all codes."""
    return asked.strategy not in WITHOUT_CODE and asked.only is None


def candidates_of_each(asked: Sequence[Question], served: Served) -> list[Nearest]:
    """Return the candidates of questions about one snapshot, in one pass over the codes."""
    items = served.columns
    return nearest_of_each(
        items.words,
        np.array([one.words for one in asked]),
        [one.n_candidates for one in asked],
        skips=[one.skip for one in asked],
        eligible=items.allowed.view(np.bool_),
        popularity=items.precedence,
        bits=asked[0].query.snapshot.item_index.bits,
    )


def new_candidates_of_each(asked: Sequence[Question], served: Served) -> list[Nearest]:
    """Return the nearest new items of questions about one snapshot, in one pass over the new items."""
    rows, items = served.new_rows, served.columns
    found = nearest_of_each(
        items.words[rows],
        np.array([one.words for one in asked]),
        [one.n_candidates for one in asked],
        skips=[_positions(rows, one.skip) for one in asked],
        eligible=items.allowed[rows].view(np.bool_),
        popularity=items.precedence[rows],
        bits=asked[0].query.snapshot.item_index.bits,
    )
    return [one._replace(rows=rows[one.rows]) for one in found]


def _positions(rows: Ints, wanted: Ints) -> Ints:
    """Return the positions in ascending rows of those that are wanted and among them."""
    positions = np.searchsorted(rows, wanted).astype(np.int32)
    found: Ints = positions[np.append(rows, -1)[positions] == wanted]
    return found


def list_of(asked: Question, candidates: Nearest | None, served: Served) -> Nearest:
    """Return the list without reserved positions; ``candidates`` are those of a search of all codes."""
    if candidates is not None:
        return _ranked(asked, candidates, served.columns, asked.k)
    if asked.only is not None:
        return _best_among(asked, np.unique(asked.only), served.columns, asked.k)
    return _most_popular(asked, served.popular, served.columns, asked.k)


def lacks_new(asked: Question, found: Nearest, served: Served) -> bool:
    """Return whether positions must be reserved: a list with enough new items stays as it is."""
    if not asked.n_new or not len(served.new_rows):
        return False
    return int(served.columns.is_new[found.rows].sum()) < asked.n_new


def reserve_new(asked: Question, found: Nearest, candidates: Nearest | None, served: Served) -> None:
    """Move the best new items into a list.

    Args:
        asked: the question for the new items alone.
        found: the list, changed.
        candidates: the nearest new items, if the list is made from a search of all codes.
        served: the items.
    """
    new, items = _new(asked, candidates, served), served.columns
    if asked.strategy == "codes+rerank+neighbours":
        reserve_at_end(*found, *new, items.is_new)
    else:
        by_score = asked.strategy in BY_SCORE
        reserve(by_score, len(found.rows), *found, *new, items.is_new, items.precedence)


def _new(asked: Question, candidates: Nearest | None, served: Served) -> Nearest:
    """Return the best new items."""
    items = served.columns
    if candidates is not None:
        return _ranked(asked, candidates, items, asked.k)
    if asked.only is not None:
        return _best_among(asked, _new_among(asked.only, items), items, asked.k)
    return _most_popular(asked, served.popular_new, items, asked.k, among=served.new_rows)


def _new_among(only: Ints, items: ItemColumns) -> Ints:
    """Return the new items among some rows, ascending, without a pass over the others."""
    rows = np.unique(only)
    rows = rows[rows < len(items.is_new)]
    new: Ints = rows[items.is_new[rows] > 0]
    return new


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


def _most_popular(
    asked: Question, popular: PopularItems, items: ItemColumns, k: int, among: Ints | None = None
) -> Nearest:
    """Return the best k by a strategy without codes; ``popular`` are those among some rows, None of all."""
    if asked.strategy == "features":
        candidates = _popular_rows(asked, popular, items, max(k, LIFTED), among)
        return by_features(asked.query, candidates, items, k)
    return _unscored(_popular_rows(asked, popular, items, k, among))


def _popular_rows(
    asked: Question, popular: PopularItems, items: ItemColumns, k: int, among: Ints | None
) -> Ints:
    skip = np.sort(asked.skip)
    rows = first_listed(popular.rows, items.allowed, skip, k)
    if len(rows) < k and popular.floor != EVERYTHING:  # the user has rated nearly all popular items
        among = np.arange(len(items.allowed), dtype=np.int32) if among is None else among
        rows = _in_order(first_listed(among, items.allowed, skip, len(among)), items, k)
    return rows


def _in_order(rows: Ints, items: ItemColumns, k: int) -> Ints:
    """Return the first k of these rows, ascending, in the order of popular lists."""
    precedence = items.precedence[rows]
    if len(rows) > k:  # sorting many items for a short list would make this the slowest answer
        rows = rows[precedence >= -np.partition(-precedence, k - 1)[k - 1]]
    return in_order(rows, items.precedence)[:k]


def _unscored(rows: Ints) -> Nearest:
    return Nearest(rows, np.zeros(len(rows), np.int32), np.zeros(len(rows), np.float32))
