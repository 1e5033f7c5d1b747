"""Settings of one fit: size of the model, objective, training schedule. Values are checked on creation."""

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
"""Shortest and longest code."""

MAX_NEIGHBOURS = 1000
"""Most neighbours of one item."""

MAX_VECTOR_SIZE = 1024
"""Up to this length, products of ranking vectors are exact in 32 bits; see ``dch.search.scores``."""


@dataclass(frozen=True, kw_only=True)
class DchConfig:
    """Settings of one fit. A setting of None is derived from the objective or from the ratings."""

    bits: int = 64
    """Length of a code in bits; a multiple of 8 from 8 to 256."""

    hidden: int = 256
    """Length of an embedding and of the hidden layer; at least ``bits``."""

    objective: Objective = "ranking"
    """What the fit optimises: ranked lists (``ranking``), or predicted ratings by Equation 1 (``rating``)."""

    seed: int = 0
    """Seed of all random draws. Equal seed, ratings, settings and threads give an equal model."""

    device: str = "cpu"
    """Device of torch: ``cpu``, ``cuda`` or ``cuda:<n>``; the compiled embedding bags run on ``cpu`` only."""

    threads: int | None = None
    """Threads of the fit, and of searches that measure it. None: one for the fit, all cores for searches.

    The threads of a fit wait for each other at every step, and by default they wait busily. So on a machine
    that does other work too, two threads take longer than one. Another number rounds sums otherwise.
    """

    # Ratings

    positive_from: float | None = None
    """Lowest positive rating. None: three quarters up the scale, so 4.0 on a scale of 1 to 5.

    Counts, such as plays, have no scale: all above 0 are positive.
    """

    rating_weights: RatingWeights = "auto"
    """Weight of a rating in a bag: by its value (``graded``) or 1 (``binary``).

    ``auto`` compares both on held-out ratings: ``graded`` has to be better by two standard errors. With too
    few users to compare on, it is ``graded``.
    """

    rating_knots: tuple[tuple[float, float], ...] | None = None
    """Pairs (rating, weight) that override ``rating_weights``; interpolated in between, clamped outside."""

    # Schedule

    optimizer: Optimizer | None = None
    """``adam`` (AdamW without decay) or ``sgd`` (with momentum).

    None: ``adam`` for ``ranking``; ``sgd`` for ``rating``, as published.
    """

    learning_rate: float | None = None
    """Peak of the one-cycle schedule. None: the default of the objective and optimizer."""

    steps: int | None = None
    """Optimizer steps of a fit. None: by objective, fewer for few ratings, more for many users."""

    refit_share: float = 0.2
    """Steps of a refit as a share of ``steps``. Its learning rate is a third of a fit's, unless set."""

    batch: int = 1024
    """Users in one step."""

    sampled_items: int = 1200
    """Items sampled in one step: candidates of the softmax of ``ranking``; ``rating`` fits their ratings.

    ``ranking`` samples a tenth of all items if that is more, up to 4,000.
    """

    # Early stopping

    early_stopping: bool | None = None
    """Hold out some ratings from training, and keep the weights that score best on them.

    None: only for ``rating``. For ``ranking``, the last weights are better than those that checks select.
    """

    validation_users: float = 0.05
    """Share of the users, at most 500, of whom a fifth of the ratings is held out for early stopping."""

    checks: int = 8
    """Number of times that a fit with early stopping measures NDCG@20 on the held-out ratings."""

    patience: int = 6
    """Stop after this many checks in a row without a new best. Low values stop a fit too early."""

    # Features

    feature_weight: float = 1.0
    """Weight of one feature token in a bag; a positive rating weighs about 1."""

    feature_dropout: float = 0.5
    """Probability that the feature tokens of a user or item are dropped in a step; limits their influence."""

    cold_share: float = 0.02
    """Probability that an item with features loses all ratings in a step; trains codes of cold items."""

    min_token_count: int = 3
    """Feature tokens of fewer users (items) than this are ignored."""

    # Ranking objective

    user_dropout: float = 0.8
    """Largest share of a history that is dropped and becomes the target; drawn uniformly from 0 to this."""

    item_dropout: float = 0.6
    """Largest share of an item's raters that is dropped; drawn uniformly from 0 to this."""

    relaxed_users: bool = True
    """Compare relaxed codes of users with codes of items in training, instead of codes with codes.

    The relaxed code then tells how much each bit of a user counts, so candidates of reranked lists are found
    by weighted distance. A refit keeps what its start was fitted with. Only for ``ranking``.
    """

    teacher_share: float = 0.5
    """Share of the teacher's distribution in the target; the dropped ratings have the rest."""

    vector_size: int = 64
    """Length of a ranking vector, in int8 values, from 0 to 1024. 0: relaxed codes rerank the candidates."""

    vector_weight: float = 0.05
    """Weight of the ranking loss on ranking vectors; the loss on codes has weight 1."""

    uniformity_weight: float = 0.01
    """Weight of the loss that keeps the codes of different items apart; 0 turns it off."""

    temperature: float = 0.13
    """Temperature of the teacher's softmax, in units of its mean score of the items that a user rated."""

    teacher_factors: int | None = None
    """Factors of the teacher (implicit's ALS). None: 64 or 256, the better on held-out ratings."""

    teacher_alpha: float | None = None
    """The teacher's confidence in a rating of weight 1. None: from 5 to 20, the best on held-out ratings."""

    teacher_regularization: float | None = None
    """Regularisation of the teacher, on the scale of its confidences. None: 50 or 100, chosen with these."""

    teacher_iterations: int = 15
    """ALS iterations of the teacher."""

    teacher_neighbours: float | None = None
    """Share of item-to-item weights in the teacher's scores, from 0 to 1; ALS has the rest.

    None: 0, or 0.5 if item-to-item weights are better on held-out ratings than ALS by a tenth and by two
    standard errors.
    """

    vector_teacher_neighbours: float | None = None
    """The same share in what ranking vectors learn, from 0 to 1.

    None: that of ``teacher_neighbours``, or 0 where the model has neighbours of its own, because vectors then
    need not hold what these tell.
    """

    # Neighbours

    neighbours: int | None = None
    """Number of items whose ratings speak for an item, directly, beside codes and ranking vectors. 0: none.

    None: 32 if they make lists of held-out ratings better by two standard errors, or 64 if these are better
    than 32 by as much, otherwise none. That is decided before the towers learn, which they do from all
    ratings. With too few users to decide on there are none. Only for ``ranking``, with ranking vectors.
    """

    # Rating objective (Equation 1)

    mu: float = 50.0
    """Weight of the penalty on the distance of relaxed codes to their binary copies.

    At 50 codes predict held-out ratings as well as relaxed codes do. At 0.1 the penalty is less than a
    hundredth of the error of the ratings, and hardly counts.
    """

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
        if self.optimizer is None:
            del choices["optimizer"]
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
            "lambda_user",
            "lambda_item",
            "seed",
        ):
            _check(self, name, 0 <= getattr(self, name) < math.inf, "zero or more")
        given = self.teacher_regularization
        _check(
            self, "teacher_regularization", given is None or 0 <= given < math.inf, "zero or more, or None"
        )
        _check(
            self,
            "neighbours",
            self.neighbours is None or 0 <= self.neighbours <= MAX_NEIGHBOURS,
            f"from 0 to {MAX_NEIGHBOURS}, or None",
        )
        _check(self, "vector_size", 0 <= self.vector_size <= MAX_VECTOR_SIZE, f"from 0 to {MAX_VECTOR_SIZE}")
        for name in ("user_dropout", "item_dropout", "feature_dropout", "cold_share", "teacher_share"):
            _check(self, name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name in ("teacher_neighbours", "vector_teacher_neighbours"):
            share = getattr(self, name)
            _check(self, name, share is None or 0 <= share <= 1, "from 0 to 1, or None")
        for name in ("validation_users", "refit_share"):
            _check(self, name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")

    def _check_knots(self) -> None:
        if self.positive_from is not None and not math.isfinite(self.positive_from):
            raise ConfigError(f"positive_from must be a finite number, or None, got {self.positive_from}")
        knots = self.rating_knots
        if knots is None:
            return
        ratings = [rating for rating, _ in knots]
        if not knots or any(a >= b for a, b in pairwise(ratings)):
            raise ConfigError(f"rating_knots must be in ascending order of rating and not empty, got {knots}")
        if not all(math.isfinite(r) and 0 <= w < math.inf for r, w in knots):
            raise ConfigError(
                f"rating_knots must have finite ratings and weights of zero or more, got {knots}"
            )


def _check(config: DchConfig, name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}, got {getattr(config, name)}")
