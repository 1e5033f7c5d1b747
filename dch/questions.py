"""Questions: a query, and what the list that answers it may hold."""

import operator
from typing import Literal, NamedTuple, get_args

from dch.errors import ConfigError
from dch.models.codes import Words
from dch.models.neighbours import NOTHING_RATED
from dch.models.towers import Ints
from dch.queries import Query
from dch.search import CANDIDATES
from dch.search.query_words import make_queries
from dch.search.reserved_positions import reserved_positions

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
