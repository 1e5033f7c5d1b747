"""Settings of one fit: shape of the model, objective, schedule. Checked when made; reads no file."""

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from dch.errors import ConfigError

Objective = Literal["ranking", "rating"]
Optimizer = Literal["adam", "sgd"]
RatingWeights = Literal["auto", "graded", "binary"]

MIN_BITS, MAX_BITS = 8, 256

MAX_VECTOR_SIZE = 1024
"""Up to here, products of ranking vectors are exact in 32 bits: see ``search.scores``."""


@dataclass(frozen=True, kw_only=True)
class DchConfig:
    """Settings of one fit. None means: chosen from the objective or from the ratings at hand."""

    bits: int = 64
    """Length of a code, in bits; a multiple of 8 from 8 to 256."""

    hidden: int = 256
    """Width of the bag and of the hidden layer; at least bits."""

    objective: Objective = "ranking"
    """What is learned: lists (``ranking``), or the ratings themselves by Equation 1 (``rating``)."""

    seed: int = 0
    """Start of every random draw; equal seed, ratings, settings and threads give an equal model."""

    device: str = "cpu"
    """Where torch computes: ``cpu``, ``cuda`` or ``cuda:<n>``; the compiled bags are for ``cpu`` alone."""

    threads: int | None = None
    """Threads of the fit; None: the cores there are, but one for small data, where others only wait."""

    # Ratings

    positive_from: float | None = None
    """From this rating on, an item counts as liked; None: three quarters up the scale, 4.0 on 1 to 5."""

    rating_weights: RatingWeights = "auto"
    """Weight of a rating in a bag: ``graded`` by height, ``binary`` (1 each), or as ``auto`` finds."""

    rating_knots: tuple[tuple[float, float], ...] | None = None
    """Pairs (rating, weight), interpolated and clamped, that override ``rating_weights``."""

    # Schedule

    optimizer: Optimizer = "adam"
    """``adam`` (AdamW without decay) or ``sgd`` (with momentum)."""

    learning_rate: float | None = None
    """Peak of the one-cycle schedule; None: the tried value of the objective and optimizer."""

    steps: int | None = None
    """Updates of a fit; None: the tried number of the objective, fewer on small data."""

    refit_share: float = 0.2
    """Share of the steps that a refit from a previous model takes; at a third of the rate, if none is set."""

    batch: int = 1024
    """Users of one step."""

    sampled_items: int = 1200
    """Items of one step: the softmax of ``ranking`` is over these, ``rating`` takes their ratings.

    A tenth of all items where that is more, up to 4,000, for ``ranking``.
    """

    # Early stopping

    early_stopping: bool | None = None
    """Keep the weights that were best on held-out ratings, which the fit then does not learn from.

    None: for ``rating`` alone. The last weights of ``ranking`` are better than those that a check prefers.
    """

    validation_users: float = 0.05
    """Share of the users, at most 500 of them, that lose a fifth of their ratings to validation."""

    checks: int = 8
    """How often in one fit with early stopping NDCG@20 is taken on the held-out ratings."""

    patience: int = 6
    """Stop after this many checks in a row without a new best; with few, the peak rate ends the fit."""

    # Features

    feature_weight: float = 1.0
    """Weight of one feature token in a bag, where a liked item has about 1."""

    feature_dropout: float = 0.5
    """Chance that the feature tokens of a row are left out of a step, so that they help and never lead."""

    cold_share: float = 0.02
    """Chance that an item with features loses all ratings in a step, so that features alone give a code."""

    min_token_count: int = 3
    """Feature tokens of fewer users (items) than this are left out of the vocabulary."""

    # Ranking objective

    user_dropout: float = 0.8
    """At most this share of a history is held back as target; the share is drawn evenly from 0 to this."""

    item_dropout: float = 0.6
    """At most this share of an item's raters is left out of its bag in a step."""

    teacher_share: float = 0.5
    """Share of the teacher's distribution in the target; the rest are the ratings held back."""

    vector_size: int = 64
    """Length of the vectors that candidates are reranked by, an int8 each, to 1024; 0: by relaxed codes."""

    vector_weight: float = 0.05
    """Weight of the same loss on ranking vectors, beside that on codes."""

    uniformity_weight: float = 0.01
    """Weight of what keeps codes of items apart; 0: off."""

    temperature: float = 0.13
    """Temperature of the teacher's softmax, in units of its usual score of what a user rated."""

    teacher_factors: int | None = None
    """Factors of the teacher (implicit ALS); None: 64, or 128 where they clearly foresee more."""

    teacher_alpha: float | None = None
    """Confidence that the teacher puts on a rating of weight 1; None: 5 or 20, likewise."""

    teacher_regularization: float = 50.0
    """Regularisation of the teacher on the scale of its confidences."""

    teacher_iterations: int = 15
    """Sweeps of the teacher."""

    # Rating objective (Equation 1)

    mu: float = 0.1
    """Penalty that ties relaxed codes to their binary copies."""

    lambda_user: float = 1e-4
    """Weight of the squared norm of the user tower's parameters."""

    lambda_item: float = 1e-4
    """Weight of the squared norm of the item tower's parameters."""

    def __post_init__(self) -> None:
        if self.bits % 8 or not MIN_BITS <= self.bits <= MAX_BITS:
            raise ConfigError(f"bits must be a multiple of 8 from {MIN_BITS} to {MAX_BITS}, got {self.bits}")
        if self.hidden < self.bits:
            raise ConfigError(f"hidden must be at least bits ({self.bits}), got {self.hidden}")
        self._check_choices()
        self._check_numbers()
        self._check_knots()

    def _check_choices(self) -> None:
        choices = {"objective": Objective, "optimizer": Optimizer, "rating_weights": RatingWeights}
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                raise ConfigError(
                    f"{name} must be one of {', '.join(get_args(known))}, got {getattr(self, name)!r}"
                )
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise ConfigError(f"device must be cpu, cuda or cuda:<n>, got {self.device!r}")

    def _check_numbers(self) -> None:
        for name in ("batch", "sampled_items", "checks", "patience", "min_token_count"):
            _check(self, name, getattr(self, name) >= 1, "at least 1")
        _check(self, "teacher_iterations", self.teacher_iterations >= 1, "at least 1")
        for name in ("threads", "steps", "learning_rate", "teacher_factors", "teacher_alpha"):
            value = getattr(self, name)
            _check(self, name, value is None or 0 < value < math.inf, "positive, or None")
        for name in ("temperature", "mu"):
            _check(self, name, 0 < getattr(self, name) < math.inf, "a positive number")
        for name in (
            "feature_weight",
            "vector_weight",
            "uniformity_weight",
            "teacher_regularization",
            "lambda_user",
            "lambda_item",
            "seed",
        ):
            _check(self, name, 0 <= getattr(self, name) < math.inf, "zero or more")
        _check(self, "vector_size", 0 <= self.vector_size <= MAX_VECTOR_SIZE, f"from 0 to {MAX_VECTOR_SIZE}")
        for name in ("user_dropout", "item_dropout", "feature_dropout", "cold_share", "teacher_share"):
            _check(self, name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name in ("validation_users", "refit_share"):
            _check(self, name, 0 < getattr(self, name) <= 1, "over 0 and at most 1")

    def _check_knots(self) -> None:
        if self.positive_from is not None and not math.isfinite(self.positive_from):
            raise ConfigError(f"positive_from must be a finite number, or None, got {self.positive_from}")
        knots = self.rating_knots
        if knots is None:
            return
        ratings = [rating for rating, _ in knots]
        if not knots or any(a >= b for a, b in pairwise(ratings)):
            raise ConfigError(f"rating_knots must ascend by rating and not be empty, got {knots}")
        if not all(math.isfinite(r) and 0 <= w < math.inf for r, w in knots):
            raise ConfigError(
                f"rating_knots must hold finite ratings and weights of zero or more, got {knots}"
            )


def _check(config: DchConfig, name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}, got {getattr(config, name)}")
