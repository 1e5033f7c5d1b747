"""Turn trained towers into the model that serves, and scale ranking vectors so that items fit an int8.

Only the product of a user's and an item's ranking vector matters. So each dimension of one tower can be
divided by a number if the other tower is multiplied by it. A fit works best with towers of equal size;
serving stores an item's vector in int8 and wants the full range of each dimension.
"""

from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray

from dch.data.ids import IdTable
from dch.errors import DchError
from dch.models.codes import LARGEST
from dch.models.model import Model
from dch.models.towers import TowerWeights
from dch.training.batches import whole_bags
from dch.training.feature_regression import fit_feature_codes
from dch.training.lift_table import fit_lifts
from dch.training.tower_net import TowerNet
from dch.training.training_data import TrainingData

Floats = NDArray[np.float32]
Towers = tuple[TowerWeights, TowerWeights]

MIN_DIVISOR = 1e-6
"""Smallest number that a dimension is divided by."""


def freeze_model(
    nets: tuple[TowerNet, TowerNet],
    training_data: TrainingData,
    *,
    feature_weight: float,
    generation: int,
    metrics: dict[str, float],
) -> Model:
    """Return the frozen model of these nets.

    Args:
        nets: the trained user tower and item tower.
        training_data: what they were trained on.
        feature_weight: weight of one feature token in a bag.
        generation: number of the model.
        metrics: figures of the fit, kept with the model.

    Raises:
        DchError: the fit diverged.
    """
    users, items = training_data.bags
    if not all(weight.isfinite().all() for net in nets for weight in net.parameters()):
        raise DchError(
            "the fit diverged: found a weight that is not finite; "
            "lower learning_rate, or check the ratings for extreme values"
        )
    with torch.no_grad():
        all_items = whole_bags(items, np.arange(len(items)), feature_weight)
        item_vectors = nets[1].codes_and_vectors(all_items)[1].cpu().numpy()
    user_tower, item_tower = quantize_towers(nets[0].freeze(), nets[1].freeze(), item_vectors)
    return Model(
        generation=generation,
        user_tower=user_tower,
        item_tower=item_tower,
        user_ids=IdTable(users.ids),
        item_ids=IdTable(items.ids),
        user_tokens=IdTable(users.feature_names),
        item_tokens=IdTable(items.feature_names),
        lifts=fit_lifts(users),
        feature_codes=fit_feature_codes(item_tower, items, feature_weight),
        rating_knots=training_data.scale.knots,
        feature_weight=feature_weight,
        positive_from=training_data.scale.positive_from,
        settings=asdict(training_data.config),
        metrics=metrics,
    )


def quantize_towers(user: TowerWeights, item: TowerWeights, item_vectors: Floats) -> Towers:
    """Scale the towers so that the largest value of each dimension of the item vectors becomes LARGEST.

    Args:
        user: the user tower.
        item: the item tower.
        item_vectors: (n, vector_size) ranking vectors of all items.
    """
    largest = np.abs(item_vectors).max(axis=0, initial=MIN_DIVISOR)
    return _scaled(user, largest / LARGEST), _scaled(item, LARGEST / largest)


def balance_towers(user: TowerWeights, item: TowerWeights) -> Towers:
    """Undo ``quantize_towers`` for a refit: give each dimension of both towers output weights of one norm."""
    norms = [np.maximum(np.linalg.norm(tower.vector_output, axis=0), MIN_DIVISOR) for tower in (user, item)]
    ratio = np.sqrt(norms[1] / norms[0]).astype(np.float32)
    return _scaled(user, ratio), _scaled(item, 1 / ratio)


def _scaled(tower: TowerWeights, by: Floats) -> TowerWeights:
    return replace(tower, vector_output=tower.vector_output * by, vector_bias=tower.vector_bias * by)
