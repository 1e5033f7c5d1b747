"""Everything that a fit derives from the ratings before the first step."""

import logging
from dataclasses import dataclass

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import RatingsError
from dch.models.model import Model
from dch.training.auto_settings import resolve_auto_settings
from dch.training.rating_weights import RatingScale, describe, infer_scale, oddities
from dch.training.teacher import Teacher, fit_teacher
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.validation import Validation, break_ties_at_random, make_validation
from dch.training.validation_split import split_validation

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The input of a fit: rating scale, bags, held-out ratings and teacher."""

    config: DchConfig
    """The settings; those that depend on the ratings are resolved."""

    scale: RatingScale
    bags: tuple[TrainingBags, TrainingBags]
    """The bags of the users, the bags of the items."""

    validation: Validation | None
    """None without early stopping, and with too few users to measure on."""

    teacher: Teacher | None
    """None for the rating objective."""


def stops_early(config: DchConfig) -> bool:
    """Return whether a fit measures on held-out ratings while it trains."""
    return bool(config.early_stopping) or (config.early_stopping is None and config.objective == "rating")


def make_training_data(ratings: Ratings, config: DchConfig, start: Model | None) -> TrainingData:
    """Split off the validation part for early stopping, resolve the settings, make bags and teacher.

    Args:
        ratings: the training data.
        config: the settings.
        start: the model that a refit starts from, whose rating scale and resolved settings are kept.

    Raises:
        RatingsError: there are no ratings, or none of them is positive.
        MissingExtraError: the teacher is not installed.
    """
    if not len(ratings):
        raise RatingsError("nothing to fit on: found 0 ratings; give at least one")
    train, held_out = ratings, np.empty(0, np.int64)
    if stops_early(config):
        train, held_out = split_validation(ratings, share=config.validation_users, seed=config.seed)
    config = resolve_auto_settings(config, train, start)
    if start is None:
        scale = infer_scale(train.values, config, graded=config.rating_weights == "graded", users=train.users)
    else:
        scale = RatingScale(start.rating_knots, start.positive_from)
    for sentence in oddities(train.values, train.users):
        _log.warning("%s", sentence)
    _log.info("%s", describe(scale, train.values, train.users))
    bags = make_training_bags(train, scale, min_token_count=config.min_token_count)
    validation = make_validation(ratings, held_out, bags, scale.positive_from)
    if validation and config.objective == "rating":
        # with ties by popularity, codes that carry no information would score best
        validation = break_ties_at_random(validation, np.random.default_rng(config.seed))
    teacher = fit_teacher(bags[0], config) if config.objective == "ranking" else None
    return TrainingData(config, scale, bags, validation, teacher)
