"""Items without any rating: codes from features alone, ranked among themselves.

Existing users, encoded from their training ratings, are asked. No rating of a held-out item is given to
anybody: popularity knows nothing of these items, so its list is by a checksum of the id, one drawn by chance.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.lists import make_lists, make_question
from dch.evaluation.metrics import hit_at, relevance
from dch.evaluation.report import DEPTH
from dch.models.model import Model


class ColdItems(NamedTuple):
    """HIT@20 over the users with something relevant."""

    items: int
    """Held-out items with features that the fit knows; the others have no code and are in no list."""

    users: int
    codes: float
    reranked: float
    popular: float
    """The one list by checksum."""

    chance: float
    """What a list drawn by chance from the same items hits on average."""


def measure_cold_items(
    model: Model,
    split: Holdout,
    tested: Ratings,
    relevant_from: float,
    *,
    n_threads: int | None = None,
) -> ColdItems | None:
    """Measure with a model fitted to the training part; None where no held-out item has a code.

    Args:
        model: fitted to the training part.
        split: its held-out items keep their features and no rating.
        tested: ratings of held-out items by existing users: ``item_test``, or ``item_given`` too.
        relevant_from: least relevant rating.
        n_threads: of the search; None for the cores there are.
    """
    state = serve(model, split.train)
    ranked = split.new_items & state.snapshot.item_index.view().allowed.view(np.bool_)
    users = split.train.by_user.counts() > 0
    tested = tested.subset(ranked[tested.items])  # what has no code could only be missed
    question = make_question(users, ranked, given=[split.train], test=tested, relevant_from=relevant_from)
    if not len(question.users):
        return None
    lists = make_lists(state, question, n_threads=n_threads)
    n_relevant = np.diff(question.relevant.starts)
    codes, reranked, popular = (
        float(hit_at(DEPTH, relevance(lists[strategy], *question.relevant), n_relevant).mean())
        for strategy in ("codes", "codes+rerank", "popular")
    )
    n_items = int(ranked.sum())
    chance = float(chance_of_hit(n_items, n_relevant).mean())
    return ColdItems(n_items, len(question.users), codes, reranked, popular, chance)


def chance_of_hit(n_items: int, n_relevant: NDArray[np.int64], k: int = DEPTH) -> NDArray[np.float64]:
    """Return the chance that k of n_items, drawn without replacement, hit any of the n_relevant, (n,).

    Args:
        n_items: 0 or more.
        n_relevant: (n,) each 0 to n_items.
        k: length of the list.
    """
    drawn = np.arange(min(k, n_items))
    misses = np.maximum(n_items - n_relevant[:, None] - drawn, 0) / (n_items - drawn)  # (n, k)
    chances: NDArray[np.float64] = 1 - misses.prod(axis=1)
    return chances
