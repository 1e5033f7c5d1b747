"""Settings that hang on the ratings: what ratings weigh, and what the teacher is best told.

They are tried on ratings held out for that alone, of many users: what there is to tell apart is small.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.training.scale import read_scale
from dch.training.teacher import fit_teacher
from dch.training.training_bags import make_training_bags
from dch.training.validation import FEWEST_USERS, make_validation, split_validation

Floats = NDArray[np.float64]

MOST_USERS = 4000
"""Held-out users: with these, NDCG@20 of two teachers on sparse data differs by more than chance."""

CHOICES: Mapping[str, tuple[Any, Any]] = {
    "rating_weights": ("graded", "binary"),
    "teacher_alpha": (5.0, 20.0),
    "teacher_factors": (64, 128),
}
"""What to take where nothing can be tried, and what else there is: sparse data wants more confidence, many
items more factors, and ratings that hardly say how much is liked want no heights."""

SWEEPS = 8
"""Of a teacher that is only compared: ML-1M .255, after all 15 .256; the order of the choices is the same."""

CLEARLY = 2.0
"""Standard errors of the mean difference over users, from which on it is no chance."""

OPEN = (None, "auto")


def settled(config: DchConfig, train: Ratings, start: Model | None) -> DchConfig:
    """Return the settings with none of CHOICES left open.

    Args:
        config: what is given in it, stays.
        train: the training data.
        start: the model that a refit starts from, whose choices are kept; None for a first fit.

    Raises:
        RatingsError: no rating is liked.
        MissingExtraError: the teacher is not installed.
    """
    before = _choices_of(start) if start is not None else {}
    first = {
        name: before.get(name) or values[0]
        for name, values in CHOICES.items()
        if getattr(config, name) in OPEN
    }
    begin, asked = replace(config, **first), _asked(config, train)
    if start is not None or config.objective == "rating" or not asked:
        return begin
    return _best(begin, asked, train)


def _choices_of(model: Model) -> dict[str, Any]:
    """Return what a model was fitted with; old ones say "auto" of their weights, and their knots tell."""
    weights = "binary" if len(model.rating_knots) == 1 else "graded"
    return {**model.settings, "rating_weights": weights}


def _asked(config: DchConfig, train: Ratings) -> list[str]:
    """Return the names of what is open and makes a difference."""
    asked = [name for name in CHOICES if getattr(config, name) in OPEN]
    is_flat = config.rating_knots is not None or train.values.min() == train.values.max()
    return [name for name in asked if not (is_flat and name == "rating_weights")]


def _best(begin: DchConfig, asked: list[str], train: Ratings) -> DchConfig:
    rest, taken = split_validation(train, share=1.0, seed=begin.seed + 1, most=MOST_USERS)
    tried: dict[tuple[Any, ...], Floats] = {}

    def quality(config: DchConfig) -> Floats:
        key = tuple(getattr(config, name) for name in CHOICES)
        if key not in tried:
            tried[key] = _quality(config, train, rest, taken)
        return tried[key]

    def of_best_alpha(config: DchConfig) -> DchConfig:
        values = CHOICES["teacher_alpha"] if "teacher_alpha" in asked else (config.teacher_alpha,)
        return max(
            (replace(config, teacher_alpha=value) for value in values), key=lambda one: quality(one).mean()
        )

    if len(quality(begin)) < FEWEST_USERS:
        return begin
    best = of_best_alpha(begin)
    if "rating_weights" in asked:  # the same for all, unless heights clearly tell more
        plain = of_best_alpha(replace(begin, rating_weights="binary"))
        best = best if _is_clear(quality(best) - quality(plain)) else plain
    if "teacher_factors" in asked:
        more = replace(best, teacher_factors=CHOICES["teacher_factors"][1])
        best = more if _is_clear(quality(more) - quality(best)) else best
    return best


def _is_clear(gains: Floats) -> bool:
    """Say whether a gain, by user, is more than chance."""
    return bool(gains.mean() > CLEARLY * gains.std(ddof=1) / np.sqrt(len(gains)))


def _quality(config: DchConfig, train: Ratings, rest: Ratings, taken: NDArray[np.int64]) -> Floats:
    """Return the teacher's NDCG@20 for each user, maybe none, on what was taken out of the training data."""
    scale = read_scale(rest.values, config, graded=config.rating_weights == "graded")
    sides = make_training_bags(rest, scale, min_token_count=config.min_token_count)
    validation = make_validation(train, taken, sides, scale.positive_from)
    if validation is None:
        return np.empty(0)
    teacher = fit_teacher(
        sides[0], replace(config, teacher_iterations=min(SWEEPS, config.teacher_iterations))
    )
    users, items = teacher.users[validation.users], teacher.items
    return validation.ndcg_by_user(lambda block: users[block] @ items.T)
