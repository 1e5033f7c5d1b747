"""Measure cold items: items without ratings, encoded from features alone and ranked among themselves.

Lists are for existing users, encoded from their training ratings. No rating of a held-out item is given, so
all these items are equally popular, and the list by popularity is ordered by a checksum of the id: a random
list.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.metrics import hit_at, relevance
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, make_task
from dch.evaluation.report import DEPTH
from dch.models.model import Model
from dch.state.state import State


class ColdItems(NamedTuple):
    """HIT@20 of cold items. The field names are JSON keys of experiments."""

    items: int
    """Held-out items with a feature token of the model; others have no code and are not listed."""

    users: int
    """Users with something relevant."""

    codes: float
    reranked: float
    popular: float
    """The same list for every user, ordered by a checksum of the id."""

    chance: float
    """Expected value for a random list of the same items."""


def measure_cold_items(
    model: Model,
    split: Holdout,
    tested: Ratings,
    relevant_from: float,
    *,
    n_threads: int | None = None,
) -> ColdItems | None:
    """Measure with a model fitted to the training part; return None if no held-out item has a code.

    Args:
        model: fitted to the training part.
        split: its held-out items keep their features and no rating.
        tested: ratings of held-out items by existing users: ``item_test``, or ``item_given`` too.
        relevant_from: the lowest relevant rating.
        n_threads: threads of the search; None for the number of cores.
    """
    state = serve(model, split.train)
    task = make_cold_task(state, split, tested, relevant_from)
    if not len(task.users):
        return None
    lists = make_lists(state, task, n_threads=n_threads)
    codes, reranked, popular = (
        hit_rate(lists[strategy], task) for strategy in ("codes", "codes+rerank", "popular")
    )
    n_items = int(task.candidates.sum())
    chance = float(chance_of_hit(n_items, np.diff(task.relevant.starts)).mean())
    return ColdItems(n_items, len(task.users), codes, reranked, popular, chance)


def make_cold_task(state: State, split: Holdout, tested: Ratings, relevant_from: float) -> RankingTask:
    """Return the task of ranking the held-out items that have a code, for existing users.

    Args:
        state: has folded in the training part, see ``serve``.
        split: see ``measure_cold_items``, as for the other arguments.
        tested: an item without a code cannot be found, so its ratings do not count.
        relevant_from: the lowest relevant rating.
    """
    ranked = split.new_items & state.snapshot.item_index.view().allowed.view(np.bool_)
    users, tested = split.train.by_user.counts() > 0, tested.subset(ranked[tested.items])
    return make_task(users, ranked, given=[split.train], test=tested, relevant_from=relevant_from)


def hit_rate(lists: Lists, task: RankingTask) -> float:
    """Return the HIT@20 of lists of a task."""
    return float(hit_at(DEPTH, relevance(lists, *task.relevant), np.diff(task.relevant.starts)).mean())


def chance_of_hit(n_items: int, n_relevant: NDArray[np.int64], k: int = DEPTH) -> NDArray[np.float64]:
    """Return the probability that k random items of n_items include a relevant one, (n,).

    Args:
        n_items: 0 or more.
        n_relevant: (n,) each 0 to n_items.
        k: length of the list; its items are sampled without replacement.
    """
    position = np.arange(min(k, n_items))
    misses = np.maximum(n_items - n_relevant[:, None] - position, 0) / (n_items - position)  # (n, k)
    chances: NDArray[np.float64] = 1 - misses.prod(axis=1)
    return chances
