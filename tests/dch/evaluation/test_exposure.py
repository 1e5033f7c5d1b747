"""Compare the exposure of new items with counts over single answers of the recommender."""

import numpy as np
import pytest

from dch import Recommender
from dch.config import DchConfig
from dch.data.splits import holdout
from dch.evaluation.exposure import (
    fair_shares,
    make_exposure_tasks,
    measure_exposure,
    state_with_new_items,
    with_few_given,
)
from dch.evaluation.holdout import measure_holdout
from dch.evaluation.report import MetricKey
from tests.dch.evaluation.stand_in import fit_with_neighbours, random_fit, random_ratings

RATINGS = random_ratings(900, n_users=30, n_items=150)


@pytest.fixture(scope="module", params=[random_fit, fit_with_neighbours])
def world(request):
    split = holdout(RATINGS, np.random.default_rng(1), item_share=0.3)
    model = request.param(split.train, DchConfig(bits=16))
    return model, split, state_with_new_items(model, split), make_exposure_tasks(split, 4.0)


def test_exposure_is_the_share_of_new_items_in_the_recommenders_lists(world):
    model, split, state, tasks = world
    recommender = Recommender(model)
    recommender.state = state
    measured = {(found.strategy, found.new_item_share): found for found in _all(world, (0, 0.5))}
    new = {RATINGS.item_ids[row] for row in np.flatnonzero(split.new_items)}
    given_pairs = set(zip(split.item_given.users.tolist(), split.item_given.items.tolist(), strict=True))
    strategies = {strategy for strategy, _ in measured}
    assert ("codes+rerank+neighbours" in strategies) == (not model.neighbours.is_empty)
    for (strategy, share), found in measured.items():
        listed = []
        for user in tasks.all_users.users.tolist():
            given = [RATINGS.item_ids[item] for rater, item in given_pairs if rater == user]
            hits = recommender.recommend(
                RATINGS.user_ids[user], strategy=strategy, exclude=given, new_item_share=share
            )
            listed += [hit.item in new for hit in hits]
        assert found.exposure == pytest.approx(np.mean(listed))


def test_more_reserved_positions_never_lower_the_exposure_and_none_change_nothing(world):
    model, split, *_ = world
    found = _all(world, (0, 0.1, 0.4, 1.0))
    for strategy in {one.strategy for one in found}:
        exposure = [one.exposure for one in found if one.strategy == strategy]
        assert exposure == sorted(exposure)
        assert exposure[-1] == 1  # there are more new items than positions
    held_out = measure_holdout(model, split, 4.0)
    first = found[0]
    assert first.new_hit == pytest.approx(held_out[MetricKey("codes", "EUNI-all", "hit@20")].mean)
    assert first.new_ndcg == pytest.approx(held_out[MetricKey("codes", "EUNI-all", "ndcg@20")].mean)


def test_few_ratings_of_each_new_item_are_given_and_no_others(world):
    _, split, *_ = world
    few = with_few_given(split, 2, np.random.default_rng(0))
    before = np.bincount(split.item_given.items, minlength=RATINGS.n_items)
    after = np.bincount(few.item_given.items, minlength=RATINGS.n_items)
    assert after.tolist() == np.minimum(before, 2).tolist()
    assert set(few.item_given.pairs().tolist()) <= set(split.item_given.pairs().tolist())
    other = with_few_given(split, 2, np.random.default_rng(1))
    assert set(few.item_given.pairs().tolist()) != set(other.item_given.pairs().tolist())


def test_fair_shares_count_listable_items_and_relevant_ratings(world):
    _, split, state, tasks = world
    found = fair_shares(state, split, tasks)
    items = split.train.by_item.counts() > 0
    n_listable = len(np.unique(split.item_given.items))  # the others have no code
    assert found.of_catalogue == pytest.approx(n_listable / (n_listable + items.sum()))
    n_new = (split.item_test.values >= 4).sum()
    n_old = ((split.test.values >= 4) & items[split.test.items]).sum()
    assert found.of_relevant == pytest.approx(n_new / (n_new + n_old))


def _all(world, shares):
    _, split, state, tasks = world
    return list(measure_exposure(state, split, tasks, shares))
