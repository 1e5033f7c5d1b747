"""The scale of ranking vectors: even on both sides in a fit, and in service such that an item's fill an int8.

Only products of a user's and an item's vector count: what one side is divided by, the other is multiplied by.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import LARGEST
from dch.models.towers import TowerWeights

Floats = NDArray[np.float32]
Towers = tuple[TowerWeights, TowerWeights]

SMALLEST = 1e-6
"""No dimension is divided by less."""


def quantize_towers(user: TowerWeights, item: TowerWeights, item_vectors: Floats) -> Towers:
    """Scale each dimension so that the largest of these item vectors, (n, vector_size), is LARGEST there."""
    largest = np.abs(item_vectors).max(axis=0, initial=SMALLEST)
    return _scaled(user, largest / LARGEST), _scaled(item, LARGEST / largest)


def evened(user: TowerWeights, item: TowerWeights) -> Towers:
    """Undo that for a refit: give each dimension outputs of one size on both sides."""
    sizes = [np.maximum(np.linalg.norm(tower.vector_output, axis=0), SMALLEST) for tower in (user, item)]
    ratio = np.sqrt(sizes[1] / sizes[0]).astype(np.float32)
    return _scaled(user, ratio), _scaled(item, 1 / ratio)


def _scaled(tower: TowerWeights, by: Floats) -> TowerWeights:
    return replace(tower, vector_output=tower.vector_output * by, vector_bias=tower.vector_bias * by)
