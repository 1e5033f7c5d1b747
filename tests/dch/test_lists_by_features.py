"""Lists of users of whom only features are known, against a slow account of their order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_lifts, random_model

from dch import Recommender
from dch.models.lifts import LIFT_STEPS
from dch.queries import query_history, query_user

TOKENS = ["age=25", "age=60", "age~20", "age~50", "job=cook"]
N_OLD, N_NEW = 30, 6
RECORDS = st.fixed_dictionaries({}, optional={"age": st.sampled_from([25, "60", 7]), "job": st.just("cook")})


def filled(seed=0):
    """Return a recommender whose items have between 0 and 5 likes."""
    lifts = random_lifts(N_OLD, len(TOKENS), seed)
    recommender = Recommender(random_model(n_items=N_OLD, user_tokens=TOKENS, lifts=lifts))
    for item in range(N_OLD + N_NEW):
        for user in range(item % 6):
            recommender.fold_in(f"u{user}", f"i{item}", 5.0, 1)
    return recommender


def slow_scores(recommender, tokens):
    """Return what each item scores, item by item."""
    model, scores = recommender.model, {}
    for item in (f"i{row}" for row in range(1, N_OLD + N_NEW) if row % 6):
        column = np.flatnonzero(model.lifts.items == model.item_ids.row(item))
        steps = [int(model.lifts.steps[TOKENS.index(token), at]) for token in tokens for at in column]
        likes = int(item[1:]) % 6
        scores[item] = math.log(1 + likes) + sum(steps) / (LIFT_STEPS * math.sqrt(len(tokens)))
    return scores


@given(RECORDS, st.integers(1, 40), st.sampled_from([None, "codes", "features"]), st.integers(0, 3))
def test_a_list_by_features_is_in_the_order_of_popularity_and_lifts(record, k, strategy, seed):
    recommender = filled(seed)
    recommender.state.set_user("new", record)
    found = recommender.answer(query_user(recommender.state, "new"), k, strategy=strategy)
    tokens = [name for key, value in record.items() for name in TOKENS if name.startswith(f"{key}={value}")]
    tokens += {25: ["age~20"], "60": ["age~50"]}.get(record.get("age"), [])
    if not tokens:
        assert found.strategy == "popular"
        assert found.hits == recommender.recommend("nobody", k)
        return
    scores = slow_scores(recommender, tokens)
    assert (found.strategy, found.code, found.ratings) == ("features", None, 0)
    assert len(found.hits) == min(k, len(scores))
    assert [hit.score for hit in found.hits] == pytest.approx(sorted(scores.values(), reverse=True)[:k])
    for hit in found.hits:
        assert (hit.distance, hit.score) == (None, pytest.approx(scores[hit.item]))


def test_who_has_rated_gets_codes_and_may_ask_for_features():
    recommender = filled()
    recommender.state.set_user("new", {"age": 25})
    by_features = recommender.recommend("new", 5)
    recommender.fold_in("new", by_features[0].item, 5.0, 2)
    after = recommender.answer(query_user(recommender.state, "new"), 5)
    asked = recommender.answer(query_user(recommender.state, "new"), 5, strategy="features")
    assert (after.strategy, asked.strategy) == ("codes+rerank", "features")
    assert by_features[0].item not in [hit.item for hit in asked.hits]
    assert (
        recommender.answer(query_user(recommender.state, "u1"), 5, strategy="features").strategy == "popular"
    )


def test_an_empty_history_with_features_gives_the_list_of_a_user_with_these_features():
    recommender = filled()
    recommender.state.set_user("new", {"age": 60})
    query = query_history(recommender.state, [], {"age": 60})
    assert recommender.answer(query, 9).hits == recommender.recommend("new", 9)


def test_features_that_are_withdrawn_leave_the_popular_list():
    recommender = filled()
    recommender.state.set_user("new", {"age": 60})
    recommender.state.set_user("new", None)
    assert recommender.recommend("new", 9) == recommender.recommend("nobody", 9)


def test_hidden_and_excluded_items_are_not_listed_and_the_most_popular_ones_are_ranked(monkeypatch):
    recommender = filled()
    recommender.state.set_user("new", {"age": 25})
    first, second = (hit.item for hit in recommender.recommend("new", 2))
    recommender.state.set_item(first, {"available": False})
    recommender.state.refresh_items()
    assert {first, second}.isdisjoint(hit.item for hit in recommender.recommend("new", 40, exclude=[second]))
    monkeypatch.setattr("dch.lists.LIFTED", 8)
    popular = recommender.recommend("nobody", 8)
    assert {hit.item for hit in recommender.recommend("new", 8)} == {hit.item for hit in popular}
