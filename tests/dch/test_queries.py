"""Queries for inline histories: as for a user who gave the same ratings in the same order."""

import numpy as np
import pytest
from random_models import random_model, random_neighbours

from dch import Recommender
from dch.models.neighbours import LATEST
from dch.queries import query_history, query_user
from dch.reasons import LEFT_OUT

N_FITTED = LATEST + 150

CODES_ALONE = random_model(n_items=N_FITTED, n_users=3)
MODEL = random_model(n_items=N_FITTED, n_users=3, neighbours=random_neighbours(N_FITTED, 5, share=3e-6))
LONG = [
    *((f"i{item}", 1.0 + item % 5) for item in range(LATEST + 60)),
    *((f"x{item}", 5.0) for item in range(100)),  # items that the fit never saw push older ratings out
    *((f"i{item}", 5.0) for item in range(0, 30, 3)),  # old ratings that were given again
]


def catalogue(model):
    """Return a recommender in which every item has a code."""
    recommender = Recommender(model)
    for item in range(N_FITTED):
        recommender.fold_in(f"u{item % 3}", f"i{item}", 3.0 + item % 3, 1)
    return recommender


@pytest.fixture(scope="module", params=[MODEL, CODES_ALONE], ids=["neighbours", "codes alone"])
def live(request):
    """A recommender to which a user gave the ratings of LONG one after the other."""
    recommender = catalogue(request.param)
    for at, (item, rating) in enumerate(LONG):
        recommender.fold_in("a reader", item, rating, 2 + at)
    return recommender


@pytest.mark.parametrize("strategy", [None, "codes+rerank", "codes-weighted", "codes"])
def test_a_long_inline_history_with_repeats_has_the_list_and_the_reasons_of_the_live_user(live, strategy):
    hits = live.recommend("a reader", 20, strategy=strategy, explain=True)
    assert any(hit.because for hit in hits)
    assert live.recommend_history(LONG, 20, strategy=strategy, explain=True) == hits


def test_an_inline_history_rests_on_the_same_latest_ratings_as_a_live_one(live):
    of_user = query_user(live.state, "a reader", explain=True)
    inline = query_history(live.state, LONG, explain=True)
    assert inline.evidence.items.tolist() == of_user.evidence.items.tolist()
    assert len(inline.evidence.items) == LATEST - 100
    if not live.model.neighbours.is_empty:
        assert sorted(inline.rated.items.tolist()) == sorted(of_user.rated.items.tolist())


def test_an_item_that_is_rated_again_is_the_latest_of_an_inline_history():
    others = [(f"i{item}", 5.0) for item in range(1, LEFT_OUT + 10)]
    recommender = catalogue(CODES_ALONE)
    query = query_history(recommender.state, [("i0", 5.0), *others, ("i0", 1.0)], explain=True)
    assert recommender.state.history.item_ids[int(query.evidence.items[0])] == "i0"
    assert query.evidence.ratings[0] == np.float32(1.0)
