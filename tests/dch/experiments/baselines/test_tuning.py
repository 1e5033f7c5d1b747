"""The search finds the best settings of the grid, uses only training data, and stops."""

from dataclasses import dataclass

import numpy as np
import pytest

from dch.errors import ConfigError
from dch.experiments.baselines.ials import fit_ials
from dch.experiments.baselines.popularity import fit_popularity
from dch.experiments.baselines.scorers import ProductScorer
from dch.experiments.baselines.tuning import BPR, EASE, IALS, Grid, tune
from tests.dch.experiments.baselines.blocks import two_blocks


@dataclass
class FitOfKnownQuality:
    """Knows the planted blocks, but is wrong about one more eighth of the users per step from the best."""

    train: object
    steps_away: int

    def fold_in(self, given):
        users = np.array([[int(id_[1:]) % 3 == 0] for id_ in self.train.user_ids]) * 2.0 - 1
        users[: self.steps_away * len(users) // 8] *= -1
        items = np.array([[int(id_[1:]) % 2] for id_ in self.train.item_ids]) * 2.0 - 1
        return ProductScorer(users.astype(np.float32), items.astype(np.float32))


def fit_best_at_3_2(train, *, a, b, seed):
    return FitOfKnownQuality(train, abs(a - 3) + abs(b - 2))


GRID = Grid({"a": (0, 1, 2, 3, 4), "b": (0, 1, 2, 3, 4)}, ({"a": 0, "b": 0}, {"a": 4, "b": 4}))


def test_the_search_climbs_to_the_best_settings():
    found = tune(fit_best_at_3_2, GRID, two_blocks())
    assert found.settings == {"a": 3, "b": 2}
    assert max(one.ndcg for one in found.tried) == next(
        one.ndcg for one in found.tried if one.settings == found.settings
    )
    assert len({tuple(one.settings.values()) for one in found.tried}) == len(found.tried) <= 15


def test_the_number_of_fits_is_limited_except_for_the_starts():
    assert len(tune(fit_best_at_3_2, GRID, two_blocks(), max_fits=6).tried) == 6
    assert len(tune(fit_best_at_3_2, GRID, two_blocks(), max_fits=1).tried) == 2


def test_every_fit_uses_the_same_part_of_the_training_data():
    ratings, seen = two_blocks(), []

    def fit(train, *, a, b, seed):
        seen.append((len(train), int(train.items.sum()), seed))
        return fit_popularity(train)

    tune(fit, GRID, ratings, 4, max_fits=5)
    assert set(seen) == {seen[0]}
    assert 0.7 * len(ratings) < seen[0][0] < 0.9 * len(ratings)
    assert seen[0][2] == 4


def test_a_real_method_is_tuned_and_beats_popularity():
    small = Grid({"regularization": (1.0, 1e5)}, ({"regularization": 1e5},))

    def fit(train, *, regularization, seed):
        return fit_ials(
            train, factors=4, alpha=5.0, regularization=regularization, graded=True, iterations=5, seed=seed
        )

    found = tune(fit, small, two_blocks())
    one = Grid({"one": (1,)}, ({"one": 1},))
    popular = tune(lambda train, *, one, seed: fit_popularity(train), one, two_blocks())
    assert found.settings == {"regularization": 1.0}
    assert max(one.ndcg for one in found.tried) > 1.2 * popular.tried[0].ndcg


def test_a_start_outside_the_grid_and_a_search_without_starts_are_refused():
    with pytest.raises(ConfigError, match=r"a of a start must be one of \(0, 1\), got 5"):
        Grid({"a": (0, 1)}, ({"a": 5},))
    with pytest.raises(ConfigError, match="a search needs at least one start, got none"):
        tune(fit_best_at_3_2, Grid({"a": (0, 1)}, ()), two_blocks())


def test_the_grids_of_the_baselines_start_from_known_good_settings():
    assert {"graded": True, "alpha": 5.0, "regularization": 50.0} in IALS.starts
    assert {"graded": False, "alpha": 20.0, "regularization": 0.1} in IALS.starts
    assert {"graded": False, "alpha": 5.0, "regularization": 10.0} in IALS.starts
    assert BPR.starts
    assert len(EASE.starts) == 3
