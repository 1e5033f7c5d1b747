"""One number for one model on held-back ratings: what decides whether a refit ships."""

import numpy as np

from dch.evaluation.fitting import serve
from dch.evaluation.lists import make_lists, make_question, measure
from dch.evaluation.report import DEPTH, Key
from dch.model import Model
from dch.ratings import Ratings

STRATEGY = "codes+rerank"


def ndcg_of(model: Model, train: Ratings, test: Ratings, *, n_threads: int = 1) -> float | None:
    """Return NDCG@20 of a model that has folded in ``train``, on the positive ratings of ``test``.

    Every item rated in ``train`` is ranked, less what the user rated there. Fold-in is out-of-sample, so a
    model of an older generation is measured on equal terms.

    Args:
        model: any generation.
        train: what the lists may know.
        test: later ratings, over the same id tables.
        n_threads: threads of the search.

    Returns:
        The mean over users with something relevant; None when there is none.
    """
    known_users, known_items = train.by_user.counts() > 0, train.by_item.counts() > 0
    question = make_question(
        known_users,
        known_items,
        given=[train],
        test=test.subset(known_items[test.items]),
        relevant_from=model.positive_from,
    )
    if not len(question.users):
        return None
    lists = make_lists(serve(model, train), question, n_threads=n_threads)
    measured = measure(lists, question, "EUEI")
    return float(np.float64(measured[Key(STRATEGY, "EUEI", f"ndcg@{DEPTH}")].mean))
