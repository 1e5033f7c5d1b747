"""The search tries the starts, then what optuna proposes, on training data only."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from dch.errors import MissingExtraError
from dch.experiments.baselines.ials import fit_ials
from dch.experiments.baselines.popularity import fit_popularity
from dch.experiments.baselines.scorers import ProductScorer
from dch.experiments.baselines.tuning import (
    BPR,
    EASE,
    IALS,
    ITEM_CF,
    PRUNED_EASE,
    RP3BETA,
    WIDE_IALS,
    Space,
    Span,
    most_rated,
    tune,
)
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


SPACE = Space({"a": (0, 1, 2, 3, 4), "b": (0, 1, 2, 3, 4)}, ({"a": 0, "b": 0}, {"a": 4, "b": 4}))


def test_the_best_tried_settings_are_returned_and_the_starts_come_first():
    found = tune(fit_best_at_3_2, SPACE, two_blocks(), trials=20)
    best = max(found.tried, key=lambda one: one.ndcg)
    assert found.settings == best.settings
    assert [one.settings for one in found.tried[:2]] == list(SPACE.starts)
    assert best.ndcg > max(one.ndcg for one in found.tried[:2])
    assert len(found.tried) == 20


def test_numbers_of_a_span_stay_inside_and_have_few_digits():
    def fit(train, *, a, seed):
        return FitOfKnownQuality(train, round(abs(a - 3)))

    found = tune(fit, Space({"a": Span(0.01, 5)}), two_blocks(), trials=12)
    values = [one.settings["a"] for one in found.tried]
    assert all(0.01 <= value <= 5 and float(f"{value:.3g}") == value for value in values)
    assert len(set(values)) > 6


def test_settings_that_come_again_are_not_fitted_again():
    fits = []

    def fit(train, *, a, seed):
        fits.append(a)
        return fit_popularity(train)

    found = tune(fit, Space({"a": (0, 1)}), two_blocks(), trials=6)
    assert len(found.tried) == 6
    assert sorted(fits) == sorted(set(fits))


def test_a_search_depends_on_the_seed_alone():
    once, again, other = (tune(fit_best_at_3_2, SPACE, two_blocks(), seed, trials=6) for seed in (1, 1, 2))
    settings = [[one.settings for one in found.tried] for found in (once, again, other)]
    assert settings[0] == settings[1] != settings[2]


def test_every_fit_uses_the_same_part_of_the_training_data():
    ratings, seen = two_blocks(), []

    def fit(train, *, a, b, seed):
        seen.append((len(train), int(train.items.sum()), seed))
        return fit_popularity(train)

    tune(fit, SPACE, ratings, 4, trials=5)
    assert set(seen) == {seen[0]}
    assert 0.7 * len(ratings) < seen[0][0] < 0.9 * len(ratings)
    assert seen[0][2] == 4


def test_a_real_method_is_tuned_and_beats_popularity():
    small = Space({"regularization": (1.0, 1e5)}, ({"regularization": 1e5}, {"regularization": 1.0}))

    def fit(train, *, regularization, seed):
        return fit_ials(
            train, factors=4, alpha=5.0, regularization=regularization, graded=True, iterations=5, seed=seed
        )

    found = tune(fit, small, two_blocks(), trials=2)
    one = Space({"one": (1,)}, ({"one": 1},))
    popular = tune(lambda train, *, one, seed: fit_popularity(train), one, two_blocks(), trials=1)
    assert found.settings == {"regularization": 1.0}
    assert max(one.ndcg for one in found.tried) > 1.2 * popular.tried[0].ndcg


def test_the_most_rated_items_keep_all_their_ratings():
    ratings = two_blocks()
    kept = most_rated(ratings, 7)
    counts = ratings.by_item.counts()
    assert kept.n_items == ratings.n_items
    assert len(np.unique(kept.items)) == 7
    assert sorted(kept.by_item.counts()[kept.by_item.counts() > 0]) == sorted(counts)[-7:]


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"needs optuna, .*run: pip install .* '.\[experiment\]'"):
        tune(fit_best_at_3_2, SPACE, two_blocks())


@pytest.mark.parametrize("space", [IALS, WIDE_IALS, BPR, EASE, PRUNED_EASE, RP3BETA, ITEM_CF])
def test_the_starts_lie_in_their_spaces(space):
    assert space.starts
    for start in space.starts:
        assert start.keys() == space.values.keys()
        for name, values in space.values.items():
            inside = (
                values.low <= start[name] <= values.high
                if isinstance(values, Span)
                else start[name] in values
            )
            assert inside, (name, start)


def test_ease_tries_eight_regularisations():
    assert len(EASE.starts) == len(PRUNED_EASE.starts) == 8
    assert len({start["regularization"] for start in PRUNED_EASE.starts}) == 8
