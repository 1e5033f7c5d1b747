import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.training.batches import Thinning, thin_bags
from dch.training.net import TowerNet, hard_sign
from dch.training.ranking_steps import RankingSteps
from dch.training.start import random_start
from dch.training.training_data import prepare
from dch.training.uniformity import uniformity_loss
from tests.dch.training.data import clusters

PLAIN = {"bits": 16, "hidden": 32, "teacher_factors": 8, "vector_size": 8, "batch": 40, "sampled_items": 30}


def _loss(seed, **settings):
    """Return the first loss of a fit whose draws and weights hang on the seed alone, and its item net."""
    config = DchConfig(**{**PLAIN, **settings})
    material = prepare(clusters(n_users=80), config, None)
    rng = np.random.default_rng(1)
    nets = tuple(TowerNet(random_start(side, config, rng)) for side in material.sides)
    steps = RankingSteps(nets, material.sides, material.teacher, config, np.random.default_rng(seed))
    return steps.loss().item(), nets[1], material.sides[1]


@pytest.mark.parametrize("seed", range(3))
def test_codes_that_are_near_cost_as_much_as_their_weight_says(seed):
    bare, net, side = _loss(seed, uniformity_weight=0.0, item_dropout=0.0, cold_share=0.0)
    with_spread, *_ = _loss(seed, uniformity_weight=0.5, item_dropout=0.0, cold_share=0.0)
    rng = np.random.default_rng(seed)
    rng.permutation(80)  # the users of the batch
    items = rng.choice(len(side), 30, replace=False)
    bags, _ = thin_bags(side, items, rng, Thinning(0.0, 1.0, 1.0))
    spread = uniformity_loss(hard_sign(net(bags))).item()
    assert spread > 0.01
    assert with_spread - bare == pytest.approx(0.5 * spread, rel=1e-3)


def test_the_loss_on_vectors_is_added_by_its_weight():
    losses = [_loss(0, vector_weight=weight, uniformity_weight=0.0)[0] for weight in (0.0, 1.0, 2.0)]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
    assert losses[1] > losses[0]
    assert torch.tensor(losses).isfinite().all()
