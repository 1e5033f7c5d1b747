"""Measure cold users: users without ratings, whose lists rest on their features, beside the popular list."""

from typing import NamedTuple

import numpy as np

from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.metrics import hit_at, ndcg_at, relevance
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, make_task
from dch.evaluation.report import DEPTH
from dch.models.model import Model


class ColdUsers(NamedTuple):
    """HIT@20 and NDCG@20 of cold users. The field names are JSON keys of experiments."""

    users: int
    """Held-out users with something relevant."""

    features_hit: float
    features_ndcg: float
    popular_hit: float
    popular_ndcg: float


def measure_cold_users(
    model: Model, split: Holdout, tested: Ratings, relevant_from: float, *, n_threads: int | None = None
) -> ColdUsers | None:
    """Rank the training items for users of whom only features are given; None without anything relevant.

    Args:
        model: fitted to the training part.
        split: its held-out users keep their features and no rating.
        tested: ratings of held-out users: ``user_test``, or ``user_given`` too.
        relevant_from: the lowest relevant rating.
        n_threads: threads of the search; None for the number of cores.
    """
    items = split.train.by_item.counts() > 0
    tested = tested.subset(items[tested.items])
    nothing = split.train.subset(np.zeros(len(split.train), np.bool_))
    task = make_task(split.new_users, items, given=[nothing], test=tested, relevant_from=relevant_from)
    if not len(task.users):
        return None
    lists = make_lists(serve(model, split.train), task, n_threads=n_threads)
    features, popular = _quality(lists["codes"], task), _quality(lists["popular"], task)
    return ColdUsers(len(task.users), *features, *popular)


def _quality(lists: Lists, task: RankingTask) -> tuple[float, float]:
    found, n_relevant = relevance(lists, *task.relevant), np.diff(task.relevant.starts)
    return float(hit_at(DEPTH, found, n_relevant).mean()), float(ndcg_at(DEPTH, found, n_relevant).mean())
