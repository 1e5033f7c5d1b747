"""The ridge regression from features to item factors, on items whose genre determines who likes them."""

import numpy as np
import pytest

from dch.data.ratings import Ratings
from dch.experiments.baselines.feature_ridge import features_scorer
from dch.experiments.baselines.ials import fit_ials


@pytest.fixture(scope="module")
def two_tastes():
    """Users like the items of their own parity; ten items have no rating, the last of them no feature."""
    rng = np.random.default_rng(0)
    pairs = sorted({(int(u), int(i)) for u, i in rng.integers(0, [60, 40], (1800, 2)) if (u + i) % 2 == 0})
    items = {f"i{row}": {"title": f"T ({1990 + row % 2})", "genres": ["ab"[row % 2]]} for row in range(49)}
    ratings = Ratings.from_events(
        *zip(*[(f"u{u}", f"i{i}") for u, i in pairs], strict=True), [5] * len(pairs), item_features=items
    )
    ratings.item_ids.intern_many([f"i{row}" for row in range(50)])
    return ratings


def test_unrated_items_are_scored_by_the_taste_for_their_features(two_tastes):
    fitted = fit_ials(two_tastes, factors=8, alpha=5.0, regularization=1.0, graded=False)
    scores = features_scorer(fitted, two_tastes)(np.arange(60, dtype=np.int32))
    rows = [two_tastes.item_ids.row(f"i{row}") for row in range(40, 49)]
    own = [[int(user[1:]) % 2 == item % 2 for item in range(40, 49)] for user in two_tastes.user_ids.ids()]
    unrated = scores[:, rows]
    assert unrated[np.array(own)].min() > unrated[~np.array(own)].max()
    assert np.isneginf(scores[:, two_tastes.item_ids.row("i49")]).all()
