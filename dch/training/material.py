"""What a fit works on: the rating scale, both sides, the held-out ratings and the teacher."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dch.config import DchConfig
from dch.errors import RatingsError
from dch.model import Model
from dch.ratings import Ratings
from dch.training.scale import Scale, read_scale
from dch.training.sides import Side, make_sides
from dch.training.teacher import Teacher, fit_teacher
from dch.training.validation import Validation, make_validation, split_validation, without_popularity

FIRST_SETTINGS: Mapping[str, Any] = {"teacher_alpha": 5.0, "teacher_factors": 64}
OTHER_SETTINGS: Mapping[str, Any] = {"teacher_alpha": 20.0, "teacher_factors": 128}
"""Tried one after the other: sparse data wants more confidence (Yelp, Amazon), many items more factors."""


@dataclass(frozen=True)
class Material:
    """Everything that is made of the ratings before the first step."""

    config: DchConfig
    """The settings, with those of the teacher filled in."""

    scale: Scale
    sides: tuple[Side, Side]
    """User side, item side."""

    validation: Validation | None
    """None when there is too little to measure by, or no wish to."""

    teacher: Teacher | None
    """None for the rating objective."""


def prepare(ratings: Ratings, config: DchConfig, start: Model | None, rng: np.random.Generator) -> Material:
    """Take the validation part out, then make sides and teacher of the rest.

    Raises:
        RatingsError: there are no ratings, or none of them is liked.
        MissingExtraError: the teacher is not installed.
    """
    if not len(ratings):
        raise RatingsError("nothing to fit on: found 0 ratings; give at least one")
    train, taken = ratings, np.empty(0, np.int64)
    if config.early_stopping:
        train, taken = split_validation(ratings, config, rng)
    first = _first_settings(config, start)
    tried = [_try(scale, ratings, train, taken, first) for scale in _scales(train, config, start)]
    if tried[0].validation is None or tried[0].teacher is None:
        return tried[0]
    best = max(tried, key=_quality) if len(tried) > 1 else tried[0]  # the first, graded, on a tie
    for name, other in OTHER_SETTINGS.items():
        if getattr(config, name) is None and start is None:
            best = max(best, _with_teacher(best, replace(best.config, **{name: other})), key=_quality)
    return best


def _first_settings(config: DchConfig, start: Model | None) -> DchConfig:
    """Fill in the teacher's settings: those of the previous model, or those to begin with."""
    before = {} if start is None else start.settings
    filled: dict[str, Any] = {
        name: before.get(name) or first
        for name, first in FIRST_SETTINGS.items()
        if getattr(config, name) is None
    }
    return replace(config, **filled)


def _scales(train: Ratings, config: DchConfig, start: Model | None) -> list[Scale]:
    """Return the scales worth trying; more than one only where the teacher can tell them apart."""
    if start is not None:
        return [Scale(start.rating_knots, start.positive_from)]
    graded = read_scale(train.values, config, graded=True)
    binary = read_scale(train.values, config, graded=False)
    if config.rating_weights == "binary" or len(graded.knots) == 1:
        return [binary]
    if config.rating_weights == "graded" or config.rating_knots is not None or config.objective == "rating":
        return [graded]
    return [graded, binary]


def _try(scale: Scale, ratings: Ratings, train: Ratings, taken: np.ndarray, config: DchConfig) -> Material:
    sides = make_sides(train, scale, min_token_count=config.min_token_count)
    validation = make_validation(ratings, taken, sides, scale.positive_from)
    if validation and config.objective == "rating":  # else codes that say nothing win, by popularity alone
        validation = without_popularity(validation, np.random.default_rng(config.seed))
    teacher = fit_teacher(sides[0], config) if config.objective == "ranking" else None
    return Material(config, scale, sides, validation, teacher)


def _with_teacher(material: Material, config: DchConfig) -> Material:
    return replace(material, config=config, teacher=fit_teacher(material.sides[0], config))


def _quality(material: Material) -> float:
    """Return the teacher's held-out NDCG@20."""
    validation, teacher = material.validation, material.teacher
    assert validation is not None
    assert teacher is not None
    users, items = teacher.users[validation.users], teacher.items
    return validation.ndcg(lambda block: users[block] @ items.T)
