"""Start of a refit: the previous model's weights, its bag rows carried over by id."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dch.models.model import Model, Vocabulary
from dch.models.towers import TowerWeights
from dch.training.quantize import evened
from dch.training.start import ridge
from dch.training.training_bags import TrainingBags
from dch.training.training_data import TrainingData

Floats = NDArray[np.float32]


def continue_from(start: Model, material: TrainingData) -> tuple[TowerWeights, TowerWeights]:
    """Return the weights of a previous model, arranged for the ids and features of new ratings.

    Ids that it did not know start from the teacher, mapped onto the previous rows by what both know; from
    zero without a teacher.
    """
    users, items = material.sides
    teacher = material.teacher
    user_tower, item_tower = evened(start.user_tower, start.item_tower)
    return (
        _carry(user_tower, start.user_vocabulary, users, items.ids, teacher.items if teacher else None),
        _carry(item_tower, start.item_vocabulary, items, users.ids, teacher.users if teacher else None),
    )


def _carry(
    weights: TowerWeights,
    vocabulary: Vocabulary,
    side: TrainingBags,
    others: list[str],
    factors: Floats | None,
) -> TowerWeights:
    bag = np.zeros((side.n_tokens, weights.hidden), np.float32)
    old = vocabulary.others.rows(others)
    known = np.flatnonzero(old >= 0)
    bag[known] = weights.bag[old[known]]
    if factors is not None and len(known):
        new = np.flatnonzero(old < 0)
        bag[new] = factors[new] @ ridge(factors[known], bag[known])
    features = vocabulary.features.rows(side.feature_names)
    kept = np.flatnonzero(features >= 0)
    bag[side.n_other + kept] = weights.bag[len(vocabulary.others) + features[kept]]
    return replace(weights, bag=bag)
