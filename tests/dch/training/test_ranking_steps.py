import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.training import ranking_steps
from dch.training.batches import BagDropout, bags_with_dropout, whole_bags
from dch.training.initial_weights import random_weights
from dch.training.ranking_loss import ranking_loss, uniformity_loss
from dch.training.ranking_steps import RankingSteps
from dch.training.tower_net import TowerNet, hard_sign
from dch.training.training_data import make_training_data
from tests.dch.training.data import clusters

PLAIN = {"bits": 16, "hidden": 32, "teacher_factors": 8, "vector_size": 8, "batch": 40, "sampled_items": 30}


def _loss(seed, **settings):
    """Return the first loss of a fit, its item tower and its item bags; all depend only on the seed."""
    config = DchConfig(**{**PLAIN, **settings})
    training_data = make_training_data(clusters(n_users=80), config, None)
    rng = np.random.default_rng(1)
    nets = tuple(TowerNet(random_weights(bags, config, rng)) for bags in training_data.bags)
    steps = RankingSteps(nets, training_data.bags, training_data.teacher, config, np.random.default_rng(seed))
    return steps.loss().item(), nets[1], training_data.bags[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_uniformity_loss_is_added_with_its_weight(seed):
    without, net, bags = _loss(seed, uniformity_weight=0.0, item_dropout=0.0, cold_share=0.0)
    with_uniformity, *_ = _loss(seed, uniformity_weight=0.5, item_dropout=0.0, cold_share=0.0)
    rng = np.random.default_rng(seed)
    rng.permutation(80)  # the users of the batch
    items = rng.choice(len(bags), 30, replace=False)
    bags, _ = bags_with_dropout(bags, items, rng, BagDropout(0.0, 1.0, 1.0))
    uniformity = uniformity_loss(hard_sign(net(bags))).item()
    assert uniformity > 0.01
    assert with_uniformity - without == pytest.approx(0.5 * uniformity, rel=1e-3)


@pytest.mark.parametrize("relaxed_users", [False, True])
def test_relaxed_users_are_compared_with_the_signs_of_items(relaxed_users, monkeypatch):
    seen = []

    def spy(logits, target, kept):
        seen.append(logits.detach())
        return ranking_loss(logits, target, kept)

    monkeypatch.setattr(ranking_steps, "ranking_loss", spy)
    settings = {"vector_weight": 0.0, "uniformity_weight": 0.0, "user_dropout": 0.0, "item_dropout": 0.0}
    config = DchConfig(**{**PLAIN, **settings, "relaxed_users": relaxed_users})
    data = make_training_data(clusters(n_users=80), config, None)
    nets = tuple(TowerNet(random_weights(bags, config, np.random.default_rng(1))) for bags in data.bags)
    RankingSteps(nets, data.bags, data.teacher, config, np.random.default_rng(2)).loss()
    rng = np.random.default_rng(2)
    users = rng.permutation(80)[:40]
    items = rng.choice(len(data.bags[1]), 30, replace=False)
    relaxed, item_relaxed = (
        net(whole_bags(bags, rows, 1.0)).detach()
        for net, bags, rows in zip(nets, data.bags, (users, items), strict=True)
    )
    of_users = 1.5 * relaxed if relaxed_users else torch.where(relaxed > 0, 1.0, -1.0)
    expected = 8 / 16 * of_users @ torch.where(item_relaxed > 0, 1.0, -1.0).T
    torch.testing.assert_close(seen[0], expected)


def test_the_loss_on_vectors_is_added_with_its_weight():
    losses = [_loss(0, vector_weight=weight, uniformity_weight=0.0)[0] for weight in (0.0, 1.0, 2.0)]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
    assert losses[1] > losses[0]
    assert torch.tensor(losses).isfinite().all()
