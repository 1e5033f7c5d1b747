"""Held-out NDCG@20 of the towers as they stand: whole bags, lists by codes and by ranking vectors."""

from collections.abc import Callable
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from dch.config import DchConfig
from dch.training.batches import whole_bags
from dch.training.net import TowerNet
from dch.training.training_bags import TrainingBags
from dch.training.validation import Validation


def make_measure(
    nets: tuple[TowerNet, TowerNet],
    sides: tuple[TrainingBags, TrainingBags],
    validation: Validation,
    config: DchConfig,
) -> Callable[[], float]:
    """Return a function that takes the NDCG@20 of the validation users, the mean of both kinds of lists.

    Codes alone are good long before the vectors are: a fit that heeds them alone stops too early.

    Args:
        nets: the towers, which the function reads anew at each call.
        sides: what their bags are made of.
        validation: who is asked for, and what is relevant.
        config: the settings of the fit.
    """
    users = whole_bags(sides[0], validation.users, config.feature_weight)
    items = whole_bags(sides[1], np.arange(len(sides[1])), config.feature_weight)

    def ndcg(of_users: Tensor, of_items: Tensor) -> float:
        return validation.ndcg(lambda block: (of_users[block] @ of_items.T).cpu().numpy())

    @torch.no_grad()
    def measure() -> float:
        pairs = [net.codes_and_vectors(bags) for net, bags in zip(nets, (users, items), strict=True)]
        if not all(part.isfinite().all() for pair in pairs for part in pair):
            return 0.0  # a fit that diverged; else codes that are all alike earned what popularity earns
        (user_codes, user_vectors), (item_codes, item_vectors) = pairs
        found = [ndcg(*(torch.where(codes > 0, 1.0, -1.0) for codes in (user_codes, item_codes)))]
        if item_vectors.shape[1]:
            found.append(ndcg(user_vectors, item_vectors))
        return fmean(found)

    return measure
