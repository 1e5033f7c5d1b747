"""Batches of bags for one training step. Dropout takes a random part out of each bag.

For the users, the ratings that dropout takes out are the targets of the ranking objective.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.training.embedding_bag import BagBatch
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Starts = NDArray[np.int64]


@dataclass(frozen=True)
class DroppedRatings:
    """The ratings that dropout took out of the bags of a batch, as compressed rows."""

    starts: Starts
    """(n + 1,)."""

    tokens: Ints
    """(n_dropped,)."""

    targets: Floats
    """(n_dropped,) their weights as targets; 0 if not positive."""


@dataclass(frozen=True)
class BagDropout:
    """How much of each bag is dropped in a step."""

    rating_dropout: float
    """Largest share of a history that is dropped; each row draws its share uniformly from 0 to this."""

    feature_weight: float
    """Weight of one feature token; a positive rating weighs about 1."""

    feature_dropout: float
    """Probability that a row loses its feature tokens."""

    cold_share: float = 0.0
    """Probability that a row with features loses all ratings and keeps its features."""


def shuffled_batches(n: int, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield batches of row numbers forever; every row comes once before any row comes again.

    Args:
        n: number of rows.
        batch: rows of one batch; n if that is fewer.
        rng: source of randomness.
    """
    waiting = np.empty(0, np.int64)
    while True:
        while len(waiting) < min(n, batch):
            waiting = np.concatenate((waiting, rng.permutation(n)))
        yield waiting[: min(n, batch)]
        waiting = waiting[min(n, batch) :]


def whole_bags(bags: TrainingBags, rows: NDArray[np.integer], feature_weight: float) -> BagBatch:
    """Return the bags of these rows without dropout."""
    ones, draws = np.ones(len(rows), np.float32), np.zeros(_n_ratings(bags, rows), np.float32)
    return _make_batch(bags, rows, ones, ones > 0, draws, feature_weight)[0]


def bags_with_dropout(
    bags: TrainingBags,
    rows: NDArray[np.integer],
    rng: np.random.Generator,
    dropout: BagDropout,
) -> tuple[BagBatch, DroppedRatings]:
    """Return the bags of these rows after dropout, and the ratings that were dropped.

    The share that is dropped varies by row, so that the tower is trained on short and on long histories.

    Args:
        bags: the bags of all users, or of all items.
        rows: (n,) rows of these bags.
        rng: source of randomness.
        dropout: how much is dropped.
    """
    keep = 1 - dropout.rating_dropout * rng.random(len(rows), dtype=np.float32)
    with_features = rng.random(len(rows), dtype=np.float32) >= dropout.feature_dropout
    cold = rng.random(len(rows), dtype=np.float32) < dropout.cold_share
    cold &= bags.feature_starts[rows + 1] > bags.feature_starts[rows]
    keep[cold], with_features[cold] = 0, True
    draws = rng.random(_n_ratings(bags, rows), dtype=np.float32)
    return _make_batch(bags, rows, keep, with_features, draws, dropout.feature_weight)


def _n_ratings(bags: TrainingBags, rows: NDArray[np.integer]) -> int:
    return int((bags.starts[rows + 1] - bags.starts[rows]).sum())


def _make_batch(
    bags: TrainingBags,
    rows: NDArray[np.integer],
    keep: Floats,
    with_features: NDArray[np.bool_],
    draws: Floats,
    feature_weight: float,
) -> tuple[BagBatch, DroppedRatings]:
    """Keep the ratings whose draw, from [0, 1), is below the row's share to keep."""
    n_features = int((bags.feature_starts[rows + 1] - bags.feature_starts[rows])[with_features].sum())
    bag_starts, dropped_starts = np.zeros(len(rows) + 1, np.int64), np.zeros(len(rows) + 1, np.int64)
    bag_tokens, bag_weights = (
        np.empty(len(draws) + n_features, np.int32),
        np.empty(len(draws) + n_features, np.float32),
    )
    dropped_tokens, dropped_targets = np.empty(len(draws), np.int32), np.empty(len(draws), np.float32)
    counts = np.empty(len(rows), np.int32)
    _fill(
        (bags.starts, bags.tokens, bags.weights, bags.targets, bags.feature_starts, bags.feature_tokens),
        (rows.astype(np.int32), keep, with_features, draws, feature_weight),
        (bag_starts, bag_tokens, bag_weights, counts),
        (dropped_starts, dropped_tokens, dropped_targets),
    )
    n_kept, n_dropped = bag_starts[-1], dropped_starts[-1]
    return (
        BagBatch(bag_starts, bag_tokens[:n_kept], bag_weights[:n_kept], counts),
        DroppedRatings(dropped_starts, dropped_tokens[:n_dropped], dropped_targets[:n_dropped]),
    )


@kernel
def _fill(
    bags: tuple[Starts, Ints, Floats, Floats, Starts, Ints],
    choice: tuple[Ints, Floats, NDArray[np.bool_], Floats, float],
    batch: tuple[Starts, Ints, Floats, Ints],
    dropped: tuple[Starts, Ints, Floats],
) -> None:
    """Put each rating of the rows into its bag or among the dropped; add features and scale the weights."""
    starts, tokens, weights, targets, feature_starts, feature_tokens = bags
    rows, keep, with_features, draws, feature_weight = choice
    bag_starts, bag_tokens, bag_weights, counts = batch
    dropped_starts, dropped_tokens, dropped_targets = dropped
    n_seen, n_kept, n_dropped = 0, 0, 0
    for i in range(len(rows)):
        first = n_kept
        squares = 0.0
        for position in range(starts[rows[i]], starts[rows[i] + 1]):
            if draws[n_seen] < keep[i]:
                if weights[position] > 0:  # weight 0 keeps a rating out of the bag and out of the count
                    bag_tokens[n_kept], bag_weights[n_kept] = tokens[position], weights[position]
                    squares += weights[position] * weights[position]
                    n_kept += 1
            else:
                dropped_tokens[n_dropped], dropped_targets[n_dropped] = tokens[position], targets[position]
                n_dropped += 1
            n_seen += 1
        counts[i] = n_kept - first
        if with_features[i]:
            for position in range(feature_starts[rows[i]], feature_starts[rows[i] + 1]):
                bag_tokens[n_kept], bag_weights[n_kept] = feature_tokens[position], feature_weight
                squares += feature_weight * feature_weight
                n_kept += 1
        scale = 1 / np.sqrt(squares) if squares > 0 else 0.0
        for position in range(first, n_kept):
            bag_weights[position] *= scale
        bag_starts[i + 1], dropped_starts[i + 1] = n_kept, n_dropped
