"""Answers: the best items for a query, in the one order that all workers share."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.catalogue import Catalogue
from dch.codes import pack, to_words
from dch.errors import ConfigError
from dch.ids import IdTable
from dch.queries import Query
from dch.search import CANDIDATES, Nearest, nearest, rerank

Strategy = Literal["codes+rerank", "codes", "popular"]
STRATEGIES: tuple[Strategy, ...] = ("codes+rerank", "codes", "popular")


class Hit(NamedTuple):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance to the query; None in the popular list."""

    score: float
    """Relaxed query . item bits; in the popular list, the positive ratings of the item. Larger is better."""


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
) -> Answer:
    """Find the k best items that are available and not skipped; fewer only when fewer exist.

    Order of ``codes``: distance, popularity, id. Of ``codes+rerank``: the nearest 200 (or k) by distance,
    then asymmetric score, distance, popularity, id. Of ``popular``: popularity, id.

    Args:
        query: where to start from.
        k: list length.
        ids: the item ids.
        strategy: one of STRATEGIES.
        skip: (m,) item rows never to return.
        only: item rows to choose from; None is all.

    Raises:
        ConfigError: k or the strategy is out of range.
    """
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}")
    if strategy not in STRATEGIES:
        raise ConfigError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
    catalogue = _restricted(query.snapshot.catalogue.view(), only)
    if query.relaxed is None or strategy == "popular":
        hits = _popular(catalogue, k, ids, skip)
        return Answer(hits, "popular", query.snapshot.model.generation, query.code)
    found = _nearest(query.relaxed, catalogue, k, skip, reranked=strategy == "codes+rerank")
    hits = [Hit(ids[row], distance, score) for row, distance, score in zip(*_lists(found), strict=True)]
    return Answer(hits, strategy, query.snapshot.model.generation, query.code)


def _restricted(catalogue: Catalogue, only: NDArray[np.int32] | None) -> Catalogue:
    if only is None:
        return catalogue
    chosen = only[only < len(catalogue.allowed)]
    allowed = np.zeros_like(catalogue.allowed)
    allowed[chosen] = catalogue.allowed[chosen]
    return catalogue._replace(allowed=allowed)


def _nearest(
    relaxed: NDArray[np.float32], catalogue: Catalogue, k: int, skip: NDArray[np.int32], *, reranked: bool
) -> Nearest:
    found = nearest(
        catalogue.words,
        to_words(pack(relaxed[None]))[0],
        max(k, CANDIDATES) if reranked else k,
        skip=skip,
        eligible=catalogue.allowed.view(np.bool_),
        popularity=catalogue.precedence,
        relaxed=relaxed if reranked else None,
        bits=len(relaxed),
    )
    return rerank(found, k, popularity=catalogue.precedence) if reranked else found


def _lists(found: Nearest) -> tuple[list[int], list[int], list[float]]:
    return found.rows.tolist(), found.distances.tolist(), found.scores.tolist()


def _popular(catalogue: Catalogue, k: int, ids: IdTable, skip: NDArray[np.int32]) -> list[Hit]:
    allowed = catalogue.allowed.copy()
    allowed[skip[skip < len(allowed)]] = 0
    rows = np.flatnonzero(allowed)
    if len(rows) > k:  # a full sort of a large catalogue for twenty items would be the slowest answer of all
        rows = rows[np.argpartition(-catalogue.precedence[rows], k)[:k]]
    rows = rows[np.argsort(-catalogue.precedence[rows], kind="stable")]
    counts = (catalogue.precedence[rows] >> 32).tolist()
    return [Hit(ids[row], None, float(count)) for row, count in zip(rows.tolist(), counts, strict=True)]
