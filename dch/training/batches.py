"""Bags for one step: a random part of each history goes into the bag, the rest is held back as target."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.training.bag import Bags
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Starts = NDArray[np.int64]


@dataclass(frozen=True)
class HeldBack:
    """What was left out of some bags, as compressed rows."""

    starts: Starts
    """(n + 1,)."""

    tokens: Ints
    """Tokens left out."""

    targets: Floats
    """Their weights as targets; 0 where not liked."""


@dataclass(frozen=True)
class Thinning:
    """How bags are made: what is left out by chance, and what a feature token weighs."""

    dropout: float
    """At most this share of a history; the share is drawn anew for each row, evenly from 0."""

    feature_weight: float
    """Of one token, where a liked item has about 1."""

    feature_dropout: float
    """Chance that a row loses its feature tokens."""

    cold_share: float = 0.0
    """Chance that a row with features loses all ratings and keeps its features."""


def rounds(n: int, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield batches of rows for ever; each row comes once before any comes again."""
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < min(n, batch):
            waiting = np.concatenate((waiting, rng.permutation(n)))
        yield waiting[: min(n, batch)]
        waiting = waiting[min(n, batch) :]


def whole_bags(side: TrainingBags, rows: NDArray[np.integer], feature_weight: float) -> Bags:
    """Return the bags of these rows with nothing left out."""
    ones, chances = np.ones(len(rows), np.float32), np.zeros(_size(side, rows), np.float32)
    return _draw(side, rows, ones, ones > 0, chances, feature_weight)[0]


def thin_bags(
    side: TrainingBags,
    rows: NDArray[np.integer],
    rng: np.random.Generator,
    by: Thinning,
) -> tuple[Bags, HeldBack]:
    """Return the bags of these rows with a random part left out, and that part.

    Histories come short and long, so that the tower meets both.

    Args:
        side: whose rows these are.
        rows: (n,).
        rng: where chance comes from.
        by: how much is left out.
    """
    keep = 1 - by.dropout * rng.random(len(rows), dtype=np.float32)
    with_features = rng.random(len(rows), dtype=np.float32) >= by.feature_dropout
    cold = rng.random(len(rows), dtype=np.float32) < by.cold_share
    cold &= side.feature_starts[rows + 1] > side.feature_starts[rows]
    keep[cold], with_features[cold] = 0, True
    chances = rng.random(_size(side, rows), dtype=np.float32)
    return _draw(side, rows, keep, with_features, chances, by.feature_weight)


def _size(side: TrainingBags, rows: NDArray[np.integer]) -> int:
    return int((side.starts[rows + 1] - side.starts[rows]).sum())


def _draw(
    side: TrainingBags,
    rows: NDArray[np.integer],
    keep: Floats,
    with_features: NDArray[np.bool_],
    chances: Floats,
    feature_weight: float,
) -> tuple[Bags, HeldBack]:
    n_features = int((side.feature_starts[rows + 1] - side.feature_starts[rows])[with_features].sum())
    bag_starts, left_starts = np.zeros(len(rows) + 1, np.int64), np.zeros(len(rows) + 1, np.int64)
    bag_tokens, bag_weights = (
        np.empty(len(chances) + n_features, np.int32),
        np.empty(len(chances) + n_features, np.float32),
    )
    left_tokens, left_targets = np.empty(len(chances), np.int32), np.empty(len(chances), np.float32)
    counts = np.empty(len(rows), np.int32)
    _thin(
        (side.starts, side.tokens, side.weights, side.targets, side.feature_starts, side.feature_tokens),
        (rows.astype(np.int32), keep, with_features, chances, feature_weight),
        (bag_starts, bag_tokens, bag_weights, counts),
        (left_starts, left_tokens, left_targets),
    )
    kept, left = bag_starts[-1], left_starts[-1]
    return (
        Bags(bag_starts, bag_tokens[:kept], bag_weights[:kept], counts),
        HeldBack(left_starts, left_tokens[:left], left_targets[:left]),
    )


@kernel
def _thin(
    side: tuple[Starts, Ints, Floats, Floats, Starts, Ints],
    draw: tuple[Ints, Floats, NDArray[np.bool_], Floats, float],
    bag: tuple[Starts, Ints, Floats, Ints],
    left: tuple[Starts, Ints, Floats],
) -> None:
    """Deal each rating of the rows to the bag or to what is left; then add features and scale the weights."""
    starts, tokens, weights, targets, feature_starts, feature_tokens = side
    rows, keep, with_features, chances, feature_weight = draw
    bag_starts, bag_tokens, bag_weights, counts = bag
    left_starts, left_tokens, left_targets = left
    at, to, rest = 0, 0, 0
    for i in range(len(rows)):
        first = to
        squares = 0.0
        for place in range(starts[rows[i]], starts[rows[i] + 1]):
            if chances[at] < keep[i]:
                if weights[place] > 0:  # weight 0 keeps a rating out of the bag and out of the count
                    bag_tokens[to], bag_weights[to] = tokens[place], weights[place]
                    squares += weights[place] * weights[place]
                    to += 1
            else:
                left_tokens[rest], left_targets[rest] = tokens[place], targets[place]
                rest += 1
            at += 1
        counts[i] = to - first
        if with_features[i]:
            for place in range(feature_starts[rows[i]], feature_starts[rows[i] + 1]):
                bag_tokens[to], bag_weights[to] = feature_tokens[place], feature_weight
                squares += feature_weight * feature_weight
                to += 1
        scale = 1 / np.sqrt(squares) if squares > 0 else 0.0
        for place in range(first, to):
            bag_weights[place] *= scale
        bag_starts[i + 1], left_starts[i + 1] = to, rest
