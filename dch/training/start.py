"""First weights of the towers: random, or such that the codes already say what the teacher says."""

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.models.towers import TowerWeights
from dch.training.bag import bag_sum
from dch.training.batches import whole_bags
from dch.training.teacher import Teacher
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]

BAG_SPREAD = 0.05
"""Standard deviation of random embeddings."""

CODE_SPREAD = 0.3
"""Standard deviation of the part of a bag's sum that the teacher sets: well above the random part."""

VECTOR_SCALE = 0.7
"""Of the first ranking vectors: makes their products logits of a size that learning starts well from."""

RIDGE = 1.0
"""Regularisation of the map from bag sums to teacher vectors, per row of their mean square."""

ITQ_SWEEPS = 30


def random_start(side: TrainingBags, config: DchConfig, rng: np.random.Generator) -> TowerWeights:
    """Draw first weights; the output layer starts near a projection."""
    hidden, bits = config.hidden, config.bits
    zeros, ones = np.zeros(hidden, np.float32), np.ones(hidden, np.float32)
    bag = _normal(rng, BAG_SPREAD, side.n_tokens, hidden)
    output = _normal(rng, 1 / np.sqrt(hidden), hidden, bits)
    vector_output = _normal(rng, BAG_SPREAD, hidden, vector_size(config))
    biases = np.zeros(bits, np.float32), np.zeros(vector_size(config), np.float32)
    return TowerWeights(bag, zeros, zeros, ones, zeros, output, biases[0], vector_output, biases[1])


def vector_size(config: DchConfig) -> int:
    """Return the length of ranking vectors; the rating objective makes none."""
    return config.vector_size if config.objective == "ranking" else 0


def teacher_start(
    sides: tuple[TrainingBags, TrainingBags], teacher: Teacher, config: DchConfig, rng: np.random.Generator
) -> tuple[TowerWeights, TowerWeights]:
    """Return first weights of both towers whose codes are near the teacher's binary quantisation.

    A bag's sum of teacher factors is mapped by ridge regression onto the teacher's own unit vector of that
    row, and rotated to lie near the corners of a cube; feature tokens start at random.

    Source:
        Rotation: Gong, Lazebnik, "Iterative quantization" (CVPR 2011), here fitted on both sides together.
    """
    vectors = _unit(teacher.users), _unit(teacher.items)
    rotation = itq(np.concatenate(vectors), config.bits, rng)
    user = _aim(sides[0], teacher.items, vectors[0], rotation, config, rng)
    item = _aim(sides[1], teacher.users, vectors[1], rotation, config, rng)
    return user, item


def itq(vectors: Floats, bits: int, rng: np.random.Generator) -> Floats:
    """Find orthonormal directions, (factors, bits), on which the vectors lie far from 0.

    With more bits than factors the rows are orthonormal, with fewer the columns.
    """
    rotation = _polar(rng.standard_normal((vectors.shape[1], bits)).astype(np.float32))
    for _ in range(ITQ_SWEEPS):
        signs = np.where(vectors @ rotation > 0, np.float32(1), np.float32(-1))
        rotation = _polar(vectors.T @ signs)
    return rotation


def _polar(matrix: Floats) -> Floats:
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    nearest: Floats = (left @ right).astype(np.float32)
    return nearest


def _aim(
    side: TrainingBags,
    factors: Floats,
    vectors: Floats,
    rotation: Floats,
    config: DchConfig,
    rng: np.random.Generator,
) -> TowerWeights:
    """Set the first ``bits`` dimensions of a random start so that bags point where their vectors do."""
    weights = random_start(side, config, rng)
    sums = bag_sums(factors, side)
    aimed = ridge(sums, vectors) @ rotation  # (factors, bits)
    aimed *= CODE_SPREAD / max(float((sums @ aimed).std()), 1e-6)
    weights.bag[: side.n_other, : config.bits] = factors @ aimed
    weights.output[:] = _normal(rng, BAG_SPREAD, *weights.output.shape)
    weights.output[: config.bits] = np.eye(config.bits, dtype=np.float32)
    weights.vector_output[: config.bits] += VECTOR_SCALE * np.eye(
        config.bits, vector_size(config), dtype=np.float32
    )
    return weights


def bag_sums(factors: Floats, side: TrainingBags) -> Floats:
    """Return the sum of factors of each whole bag, (n, n_factors); feature tokens add nothing."""
    padded = np.zeros((side.n_tokens, factors.shape[1]), np.float32)
    padded[: side.n_other] = factors
    summed: Floats = bag_sum(torch.from_numpy(padded), whole_bags(side, np.arange(len(side)), 0.0)).numpy()
    return summed


def ridge(x: Floats, y: Floats) -> Floats:
    """Return the matrix that maps x to y with least squared error, held small."""
    gram = x.T @ x
    gram += RIDGE * (np.trace(gram) / len(x) + 1e-6) * np.eye(len(gram), dtype=np.float32)
    solved: Floats = np.linalg.solve(gram, x.T @ y).astype(np.float32)
    return solved


def _unit(vectors: Floats) -> Floats:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    unit: Floats = (vectors / lengths).astype(np.float32)
    return unit


def _normal(rng: np.random.Generator, spread: float, *shape: int) -> Floats:
    drawn: Floats = np.float32(spread) * rng.standard_normal(shape, dtype=np.float32)
    return drawn
