"""Prequential evaluation: each trial uses the ratings before it and no others."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_neighbours, random_tower

from dch.config import DchConfig
from dch.data.splits import by_time
from dch.errors import RatingsError
from dch.evaluation import evaluate_prequential
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.prequential_stream import cohorts_of, strategy_of, stream
from dch.recommender import Recommender
from dch.state.prequential import COHORTS, NOT_TRIED
from tests.dch.evaluation.stand_in import random_fit, random_ratings

CONFIG = DchConfig(bits=16, hidden=16)


def fit_with_neighbours(ratings, config, *, progress=False):
    """Return a model with ranking vectors and neighbours, all of random weights."""
    model, rng = random_fit(ratings, config), np.random.default_rng(1)
    n_users, n_items = len(model.user_ids), len(model.item_ids)
    return replace(
        model,
        user_tower=random_tower(rng, n_items, 24, config.bits, 12),
        item_tower=random_tower(rng, n_users, 24, config.bits, 12, 10.0),
        neighbours=random_neighbours(n_items, 4, share=3e-6),
        settings={"relaxed_users": True},  # candidates by weighted distance
    )


@pytest.mark.parametrize("refresh_every", [1, 7])
@pytest.mark.parametrize("has_neighbours", [False, True])
def test_ranks_are_positions_in_the_lists_just_before_the_rating(refresh_every, has_neighbours):
    train, rest = by_time(random_ratings(160, n_users=12), 0.5)
    model = fit_with_neighbours(train, CONFIG) if has_neighbours else random_fit(train, CONFIG)
    served = strategy_of(model)
    assert served.endswith("neighbours") == has_neighbours
    ranks = stream(serve(model, train), rest, rest.values >= 4, refresh_every=refresh_every)
    recommender = Recommender(model)
    recommender.state = state = serve(model, train)
    tried = differs = 0
    for n in range(len(rest)):
        user, item = rest.user_ids[rest.users[n]], rest.item_ids[rest.items[n]]
        if ranks.codes[n] != NOT_TRIED:
            tried += 1
            for strategy, rank in ((served, ranks.codes[n]), ("popular", ranks.popular[n])):
                hits = recommender.recommend(user, 100, strategy=strategy)
                by_codes = [hit.item for hit in recommender.recommend(user, 100, strategy="codes+rerank")]
                differs += strategy == served and [hit.item for hit in hits] != by_codes
                assert [hit.item for hit in hits].index(item) == rank
        event = state.events([user], [item], [rest.values[n]], [rest.timestamps[n]])
        state.fold_in_users(event)
        state.fold_in_items(event)
        if n % refresh_every == refresh_every - 1:
            state.refresh_items()
    assert tried > 10
    assert (differs > 10) == has_neighbours


def test_cohorts_tell_whether_the_fit_knew_the_user_and_the_item():
    train, rest = by_time(random_ratings(60, n_users=40, n_items=30), 0.5)
    cohorts = cohorts_of(random_fit(train, CONFIG), rest)
    users, items = set(train.users.tolist()), set(train.items.tolist())
    for user, item, cohort in zip(rest.users.tolist(), rest.items.tolist(), cohorts, strict=True):
        expected = (
            f"{'existing' if user in users else 'new'}_user_{'existing' if item in items else 'new'}_item"
        )
        assert COHORTS[cohort] == expected


def test_the_report_names_cohorts_trials_and_both_strategies():
    report = evaluate_prequential(random_ratings(400, n_users=60, n_items=40), CONFIG, fit=random_fit)
    cases = {result.case for result in report.results}
    assert cases <= {"all", *COHORTS}
    assert {"all", "existing_user_existing_item"} <= cases
    assert {result.strategy for result in report.results} == {"codes+rerank", "popular"}
    assert sum(report.protocol["trials"].values()) > 0
    assert np.isfinite([result.mean for result in report.results]).all()


def test_the_report_of_a_model_with_neighbours_names_the_strategy_that_is_served():
    ratings = random_ratings(400, n_users=60, n_items=40)
    report = evaluate_prequential(ratings, CONFIG, fit=fit_with_neighbours)
    assert {result.strategy for result in report.results} == {"codes+rerank+neighbours", "popular"}


def test_ratings_without_timestamps_are_refused_before_any_fit():
    with pytest.raises(RatingsError, match="no timestamps"):
        evaluate_prequential(random_ratings(timed=False), CONFIG, fit=None)
