"""Initial weights of the towers: random, from the teacher for a fit, from the previous model for a refit."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.models.model import Model, Vocabulary
from dch.models.towers import TowerWeights
from dch.training.batches import whole_bags
from dch.training.embedding_bag import bag_sum
from dch.training.freeze import balance_towers
from dch.training.teacher import Teacher
from dch.training.training_bags import TrainingBags
from dch.training.training_data import TrainingData

Floats = NDArray[np.float32]

EMBEDDING_STD = 0.05
"""Standard deviation of random embeddings."""

CODE_STD = 0.3
"""Standard deviation of the part of a bag's sum that the teacher sets; well above the random part."""

VECTOR_SCALE = 0.7
"""Scale of the first ranking vectors, chosen so that their products are logits of a useful size."""

RIDGE = 1.0
"""Regularisation of the map from bag sums to teacher vectors, in units of the mean square of a row."""

ITQ_ITERATIONS = 30


def random_weights(bags: TrainingBags, config: DchConfig, rng: np.random.Generator) -> TowerWeights:
    """Draw the weights of one tower; its output layer is close to a random projection."""
    hidden, bits = config.hidden, config.bits
    zeros, ones = np.zeros(hidden, np.float32), np.ones(hidden, np.float32)
    bag = _normal(rng, EMBEDDING_STD, bags.n_tokens, hidden)
    output = _normal(rng, 1 / np.sqrt(hidden), hidden, bits)
    vector_output = _normal(rng, EMBEDDING_STD, hidden, vector_size(config))
    biases = np.zeros(bits, np.float32), np.zeros(vector_size(config), np.float32)
    return TowerWeights(bag, zeros, zeros, ones, zeros, output, biases[0], vector_output, biases[1])


def vector_size(config: DchConfig) -> int:
    """Return the length of a ranking vector; 0 for the rating objective, which has none."""
    return config.vector_size if config.objective == "ranking" else 0


def weights_from_teacher(
    bags: tuple[TrainingBags, TrainingBags], teacher: Teacher, config: DchConfig, rng: np.random.Generator
) -> tuple[TowerWeights, TowerWeights]:
    """Return weights of both towers whose codes are close to the binary quantisation of the teacher.

    Ridge regression maps a bag's sum of teacher factors to the teacher's unit vector of that row. A rotation
    moves these vectors close to the corners of a cube. Feature tokens start at random.

    Source:
        Rotation: Gong, Lazebnik, "Iterative quantization" (CVPR 2011), here fitted on both sides together.
    """
    vectors = _unit(teacher.users), _unit(teacher.items)
    rotation = itq(np.concatenate(vectors), config.bits, rng)
    user = _aligned_weights(bags[0], teacher.items, vectors[0], rotation, config, rng)
    item = _aligned_weights(bags[1], teacher.users, vectors[1], rotation, config, rng)
    return user, item


def weights_from_model(model: Model, training_data: TrainingData) -> tuple[TowerWeights, TowerWeights]:
    """Return the weights of a previous model, arranged for the ids and features of the training data.

    Known ids keep their bag rows. The rows of new ids are mapped from the teacher's factors, by a ridge
    regression that is fitted on the known ids; without a teacher they start from zero.
    """
    users, items = training_data.bags
    teacher = training_data.teacher
    user_tower, item_tower = balance_towers(model.user_tower, model.item_tower)
    return (
        _carried_over(
            user_tower, model.user_vocabulary, users, items.ids, teacher.items if teacher else None
        ),
        _carried_over(
            item_tower, model.item_vocabulary, items, users.ids, teacher.users if teacher else None
        ),
    )


def itq(vectors: Floats, bits: int, rng: np.random.Generator) -> Floats:
    """Find orthonormal directions, (factors, bits), along which the vectors lie far from 0.

    With more bits than factors the rows are orthonormal, with fewer bits the columns.
    """
    rotation = _nearest_orthonormal(rng.standard_normal((vectors.shape[1], bits)).astype(np.float32))
    for _ in range(ITQ_ITERATIONS):
        signs = np.where(vectors @ rotation > 0, np.float32(1), np.float32(-1))
        rotation = _nearest_orthonormal(vectors.T @ signs)
    return rotation


def bag_sums(factors: Floats, bags: TrainingBags) -> Floats:
    """Return the sum of factors over each whole bag, (n, n_factors); feature tokens add nothing."""
    padded = np.zeros((bags.n_tokens, factors.shape[1]), np.float32)
    padded[: bags.n_other] = factors
    summed: Floats = bag_sum(torch.from_numpy(padded), whole_bags(bags, np.arange(len(bags)), 0.0)).numpy()
    return summed


def ridge(x: Floats, y: Floats) -> Floats:
    """Return the matrix that maps x to y by ridge regression."""
    gram = x.T @ x
    gram += RIDGE * (np.trace(gram) / len(x) + 1e-6) * np.eye(len(gram), dtype=np.float32)
    solved: Floats = np.linalg.solve(gram, x.T @ y).astype(np.float32)
    return solved


def _nearest_orthonormal(matrix: Floats) -> Floats:
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    nearest: Floats = (left @ right).astype(np.float32)
    return nearest


def _aligned_weights(
    bags: TrainingBags,
    factors: Floats,
    vectors: Floats,
    rotation: Floats,
    config: DchConfig,
    rng: np.random.Generator,
) -> TowerWeights:
    """Draw random weights and set the first ``bits`` dimensions so that bags map to their rotated vectors."""
    weights = random_weights(bags, config, rng)
    sums = bag_sums(factors, bags)
    to_code = ridge(sums, vectors) @ rotation  # (factors, bits)
    to_code *= CODE_STD / max(float((sums @ to_code).std()), 1e-6)
    weights.bag[: bags.n_other, : config.bits] = factors @ to_code
    weights.output[:] = _normal(rng, EMBEDDING_STD, *weights.output.shape)
    weights.output[: config.bits] = np.eye(config.bits, dtype=np.float32)
    weights.vector_output[: config.bits] += VECTOR_SCALE * np.eye(
        config.bits, vector_size(config), dtype=np.float32
    )
    return weights


def _carried_over(
    weights: TowerWeights,
    vocabulary: Vocabulary,
    bags: TrainingBags,
    other_ids: list[str],
    factors: Floats | None,
) -> TowerWeights:
    bag = np.zeros((bags.n_tokens, weights.hidden), np.float32)
    old = vocabulary.others.rows(other_ids)
    known = np.flatnonzero(old >= 0)
    bag[known] = weights.bag[old[known]]
    if factors is not None and len(known):
        new = np.flatnonzero(old < 0)
        bag[new] = factors[new] @ ridge(factors[known], bag[known])
    features = vocabulary.features.rows(bags.feature_names)
    kept = np.flatnonzero(features >= 0)
    bag[bags.n_other + kept] = weights.bag[len(vocabulary.others) + features[kept]]
    return replace(weights, bag=bag)


def _unit(vectors: Floats) -> Floats:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    unit: Floats = (vectors / lengths).astype(np.float32)
    return unit


def _normal(rng: np.random.Generator, std: float, *shape: int) -> Floats:
    values: Floats = np.float32(std) * rng.standard_normal(shape, dtype=np.float32)
    return values
