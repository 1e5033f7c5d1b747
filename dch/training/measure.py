"""Held-out NDCG@20 of the towers as they stand: whole bags, codes, plain distance."""

from collections.abc import Callable

import numpy as np
import torch

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.net import TowerNet
from dch.training.sides import Side
from dch.training.validation import Validation


def make_measure(
    nets: tuple[TowerNet, TowerNet], sides: tuple[Side, Side], validation: Validation, config: DchConfig
) -> Callable[[], float]:
    """Return a function that takes the NDCG@20 of the codes of the validation users."""
    users = whole_bags(sides[0], validation.users, config.feature_weight)
    items = whole_bags(sides[1], np.arange(len(sides[1])), config.feature_weight)

    @torch.no_grad()
    def measure() -> float:
        user_signs, item_signs = (
            torch.where(net(bags) > 0, 1.0, -1.0) for net, bags in zip(nets, (users, items), strict=True)
        )
        return validation.ndcg(lambda block: (user_signs[block] @ item_signs.T).cpu().numpy())

    return measure
