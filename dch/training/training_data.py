"""What a fit works on: the rating scale, both sides, the held-out ratings and the teacher."""

from dataclasses import dataclass

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import RatingsError
from dch.models.model import Model
from dch.training.auto_settings import settled
from dch.training.scale import Scale, read_scale
from dch.training.teacher import Teacher, fit_teacher
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.validation import Validation, make_validation, split_validation, without_popularity


@dataclass(frozen=True)
class TrainingData:
    """Everything that is made of the ratings before the first step."""

    config: DchConfig
    """The settings, with those that hang on the ratings filled in."""

    scale: Scale
    sides: tuple[TrainingBags, TrainingBags]
    """User side, item side."""

    validation: Validation | None
    """None when there is too little to measure by, or no wish to."""

    teacher: Teacher | None
    """None for the rating objective."""


def prepare(ratings: Ratings, config: DchConfig, start: Model | None) -> TrainingData:
    """Settle what hangs on the ratings and make sides and teacher, less the validation part if there is one.

    Args:
        ratings: the training data.
        config: the settings.
        start: the model that a refit starts from, whose scale and choices are kept.

    Raises:
        RatingsError: there are no ratings, or none of them is liked.
        MissingExtraError: the teacher is not installed.
    """
    if not len(ratings):
        raise RatingsError("nothing to fit on: found 0 ratings; give at least one")
    train, taken = ratings, np.empty(0, np.int64)
    if config.early_stopping or (config.early_stopping is None and config.objective == "rating"):
        train, taken = split_validation(ratings, share=config.validation_users, seed=config.seed)
    config = settled(config, train, start)
    if start is None:
        scale = read_scale(train.values, config, graded=config.rating_weights == "graded")
    else:
        scale = Scale(start.rating_knots, start.positive_from)
    sides = make_training_bags(train, scale, min_token_count=config.min_token_count)
    validation = make_validation(ratings, taken, sides, scale.positive_from)
    if validation and config.objective == "rating":  # else codes that say nothing win, by popularity alone
        validation = without_popularity(validation, np.random.default_rng(config.seed))
    teacher = fit_teacher(sides[0], config) if config.objective == "ranking" else None
    return TrainingData(config, scale, sides, validation, teacher)
