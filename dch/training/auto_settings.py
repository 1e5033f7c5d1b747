"""Resolve the settings that depend on the ratings: how ratings are weighted, and some of the teacher.

Short fits of the teacher are compared on held-out ratings of many users, because the differences are small.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.training.neighbour_teacher import NeighbourTeacher
from dch.training.rating_weights import infer_scale
from dch.training.teacher import Teacher, fit_teacher
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.validation import Validation, make_validation
from dch.training.validation_split import MIN_USERS, split_validation

Floats = NDArray[np.float64]

MAX_USERS = 4000
"""Users with held-out ratings. With this many, a difference in NDCG@20 between two teachers on sparse data is
larger than chance."""

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "rating_weights": ("graded", "binary"),
    "teacher_alpha": (5.0, 10.0, 20.0),
    "teacher_regularization": (50.0, 100.0),
    "teacher_factors": (64, 256),
    "teacher_neighbours": (0.0, 0.5),
}
"""The values of each automatic setting, the default first.

Sparse data is served better by more confidence and by item-to-item weights in the teacher, many items by more
factors, and data whose rating values say little about liking by binary weights.
"""

CONFIDENCES = ((5.0, 50.0), (10.0, 100.0), (20.0, 50.0), (20.0, 100.0))
"""(teacher_alpha, teacher_regularization) that are compared, because only both together are good or bad.

ML-1M is served best by (10, 100), Yelp by (20, 100), Amazon books by (20, 50).
"""

TRIAL_ITERATIONS = 8
"""ALS iterations of a teacher in a comparison: on ML-1M NDCG@20 is .255, after all 15 iterations .256, and
the order of the choices is the same."""

MIN_GAIN_ERRORS = 2.0
"""A gain counts if its mean over users is more than this many standard errors."""

MIN_NEIGHBOUR_GAIN = 1.1
"""Item-to-item weights have a share in the teacher if their NDCG@20 is so many times that of ALS.

Where both are alike, as on ML-1M, towers that learn from both are worse than those that learn from ALS."""

UNSET = (None, "auto")


def resolve_auto_settings(config: DchConfig, train: Ratings, start: Model | None) -> DchConfig:
    """Return the settings with a value for each of CHOICES.

    Args:
        config: the settings; a value that is set stays.
        train: the training data.
        start: the model that a refit starts from, whose choices are kept; None for a first fit.

    Raises:
        RatingsError: no rating is positive.
        MissingExtraError: the teacher is not installed.
    """
    previous = _choices_of(start) if start is not None else {}
    defaults = {
        name: values[0] if previous.get(name) in UNSET else previous[name]
        for name, values in CHOICES.items()
        if getattr(config, name) in UNSET
    }
    default, open_choices = replace(config, **defaults), _open_choices(config, train)
    if start is not None or config.objective == "rating" or not open_choices:
        return default
    return _best_settings(default, open_choices, train)


def _choices_of(model: Model) -> dict[str, Any]:
    """Return the settings of a fitted model.

    Its rating weights are read from its knots, because older models store "auto".
    """
    weights = "binary" if len(model.rating_knots) == 1 else "graded"
    return {**model.settings, "rating_weights": weights}


def _open_choices(config: DchConfig, train: Ratings) -> list[str]:
    """Return the names of the choices that are not set and make a difference on these ratings."""
    names = [name for name in CHOICES if getattr(config, name) in UNSET]
    graded = infer_scale(train.values, config, graded=True, users=train.users)
    weights_are_fixed = config.rating_knots is not None or len(graded.knots) == 1
    return [name for name in names if not (weights_are_fixed and name == "rating_weights")]


def _best_settings(default: DchConfig, open_choices: list[str], train: Ratings) -> DchConfig:
    rest, held_out = split_validation(train, share=1.0, seed=default.seed + 1, max_users=MAX_USERS)
    tried: dict[tuple[Any, ...], Floats] = {}

    def quality(config: DchConfig) -> Floats:
        key = tuple(getattr(config, name) for name in CHOICES)
        if key not in tried:
            tried[key] = _quality(config, train, rest, held_out)
        return tried[key]

    if len(quality(default)) < MIN_USERS:
        return default
    best = max(_confidences(default, open_choices), key=lambda one: quality(one).mean())
    if "rating_weights" in open_choices:
        # binary weights, unless graded weights are better by two standard errors
        binary = replace(best, rating_weights="binary")
        best = best if is_clear(quality(best) - quality(binary)) else binary
    if "teacher_factors" in open_choices:
        more = replace(best, teacher_factors=CHOICES["teacher_factors"][1])
        best = max(best, more, key=lambda one: quality(one).mean())  # towers gain more than the teacher
    if "teacher_neighbours" in open_choices:
        gain = _quality_of_neighbours(best, train, rest, held_out) - MIN_NEIGHBOUR_GAIN * quality(best)
        best = replace(best, teacher_neighbours=CHOICES["teacher_neighbours"][is_clear(gain)])
    return best


def _confidences(default: DchConfig, open_choices: list[str]) -> list[DchConfig]:
    """Return the settings with each of CONFIDENCES, the default first; what is set stays."""
    is_alpha_open = "teacher_alpha" in open_choices
    is_regularization_open = "teacher_regularization" in open_choices
    pairs = [
        (
            alpha if is_alpha_open else default.teacher_alpha,
            regularization if is_regularization_open else default.teacher_regularization,
        )
        for alpha, regularization in CONFIDENCES
    ]
    return [  # each pair once: what is set makes some of them equal
        replace(default, teacher_alpha=alpha, teacher_regularization=regularization)
        for alpha, regularization in dict.fromkeys(pairs)
    ]


def is_clear(gains: Floats) -> bool:
    """Return whether the mean gain over users, (n,), is more than MIN_GAIN_ERRORS standard errors."""
    return bool(gains.mean() > MIN_GAIN_ERRORS * gains.std(ddof=1) / np.sqrt(len(gains)))


def trial_data(
    config: DchConfig, train: Ratings, rest: Ratings, held_out: NDArray[np.int64]
) -> tuple[tuple[TrainingBags, TrainingBags], Validation | None]:
    """Return the bags of the ratings that are left, and the held-out ratings to measure on.

    Args:
        config: the settings.
        train: all ratings.
        rest: those that are left.
        held_out: (n_held_out,) positions of the others.
    """
    scale = infer_scale(rest.values, config, graded=config.rating_weights == "graded", users=rest.users)
    bags = make_training_bags(rest, scale, min_token_count=config.min_token_count)
    return bags, make_validation(train, held_out, bags, scale.positive_from)


def trial_teacher(user_bags: TrainingBags, config: DchConfig) -> Teacher:
    """Return a teacher of few iterations, by factors alone."""
    iterations = min(TRIAL_ITERATIONS, config.teacher_iterations)
    config = replace(config, teacher_neighbours=0.0, vector_teacher_neighbours=None)
    return fit_teacher(user_bags, replace(config, teacher_iterations=iterations))


def _quality(config: DchConfig, train: Ratings, rest: Ratings, held_out: NDArray[np.int64]) -> Floats:
    """Return the teacher's NDCG@20 for each user with a relevant held-out rating, (n,); n may be 0."""
    bags, validation = trial_data(config, train, rest, held_out)
    if validation is None:
        return np.empty(0)
    teacher = trial_teacher(bags[0], config)
    users, items = teacher.users[validation.users], teacher.items
    return validation.ndcg_by_user(lambda block: users[block] @ items.T)


def _quality_of_neighbours(
    config: DchConfig, train: Ratings, rest: Ratings, held_out: NDArray[np.int64]
) -> Floats:
    """Return the NDCG@20 of item-to-item weights alone for the same users, (n,)."""
    bags, validation = trial_data(config, train, rest, held_out)
    if validation is None:
        return np.empty(0)
    teacher, users = NeighbourTeacher(bags[0], n_threads=torch.get_num_threads()), validation.users
    return validation.ndcg_by_user(lambda block: teacher.scores(users[block], slice(None)))
