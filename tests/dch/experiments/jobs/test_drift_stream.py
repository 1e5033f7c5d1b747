"""A stream of ratings in order of time, cut into parts, and the trials on it."""

import numpy as np
import pytest

from dch.data.ratings import Ratings
from dch.errors import RatingsError
from dch.evaluation.fit_and_serve import serve
from dch.experiments.jobs.drift_stream import make_stream, serve_part
from dch.state.prequential import COHORTS
from tests.dch.random_models import random_model


def _ratings():
    """Random ratings of 1 to 5 by users and of items that appear one after the other."""
    rng = np.random.default_rng(0)
    pairs = [(int(rng.integers(at // 20 + 2)), int(rng.integers(at // 20 + 2))) for at in range(360)]
    users, items = [f"u{user}" for user, _ in pairs], [f"i{item}" for _, item in pairs]
    return Ratings.from_events(users, items, rng.integers(1, 6, 360).astype(float), np.arange(1, 361))


def test_the_parts_are_the_later_half_in_order_of_time():
    ratings = _ratings()
    stream = make_stream(ratings, 4)
    assert stream.n_parts == 4
    parts = [stream.part(part) for part in range(4)]
    assert len(stream.before(0)) == round(len(ratings) / 2)
    together = [stream.before(0), *parts]
    assert np.array_equal(np.concatenate([part.timestamps for part in together]), ratings.timestamps)
    for part in range(1, 4):
        assert len(stream.before(part)) == len(stream.before(part - 1)) + len(parts[part - 1])


def test_new_users_and_items_have_no_rating_in_the_first_half():
    stream = make_stream(_ratings(), 2)
    first = stream.before(0)
    for at, (user, item) in enumerate(zip(stream.ratings.users, stream.ratings.items, strict=True)):
        name = COHORTS[stream.cohorts[at]]
        assert name.startswith("new_user") == (user not in first.users)
        assert name.endswith("new_item") == (item not in first.items)


def test_every_relevant_rating_is_a_trial_and_an_item_without_a_code_is_a_miss():
    stream = make_stream(_ratings(), 2)
    state = serve(random_model(n_users=20, n_items=20), stream.before(0))
    counts = serve_part(stream, 0, state)
    trials = counts["trials"]
    assert sum(trials.values()) == (stream.part(0).values >= 4).sum()
    assert min(trials["existing_user_existing_item"], trials["existing_user_new_item"]) > 0
    for strategy in ("codes+rerank", "popular"):  # fewer than 20 items: every item with a code is listed
        for cohort, hits in counts[strategy].items():
            assert hits == (trials[cohort] if cohort.endswith("existing_item") else 0)


def test_ratings_without_timestamps_are_refused():
    with pytest.raises(RatingsError, match="no timestamps"):
        make_stream(Ratings.from_events(["a", "b"], ["x", "y"], [1.0, 2.0]), 2)
