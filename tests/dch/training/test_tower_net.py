import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.models.model import Model
from dch.models.towers import TowerWeights
from dch.training.batches import whole_bags
from dch.training.initial_weights import random_weights
from dch.training.rating_weights import infer_scale
from dch.training.tower_net import TowerNet, hard_sign
from dch.training.training_bags import make_training_bags
from tests.dch.random_models import encode_items
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=24)


def _weights(bags, seed):
    """Return weights that are random in every part, so that a part used wrongly changes the result."""
    rng = np.random.default_rng(seed)
    shapes = random_weights(bags, CONFIG, rng)
    return TowerWeights(
        **{
            name: rng.normal(0, 0.5, getattr(shapes, name).shape).astype(np.float32)
            for name in ("bag", "bias", "count", "gain", "shift", "output", "output_bias")
        }
    )


@given(st.integers(0, 5), st.sampled_from([0.5, 1.0]))
def test_the_frozen_tower_and_the_torch_module_give_equal_codes(seed, feature_weight):
    ratings = clusters(n_users=12, n_items=20, features=True)
    scale = infer_scale(ratings.values, CONFIG, graded=True)
    users, items = make_training_bags(ratings, scale, min_token_count=1)
    nets = TowerNet(_weights(users, seed)), TowerNet(_weights(items, seed + 1))
    model = Model(
        generation=1,
        user_tower=nets[0].freeze(),
        item_tower=nets[1].freeze(),
        user_ids=IdTable(users.ids),
        item_ids=IdTable(items.ids),
        item_tokens=IdTable(items.feature_names),
        rating_knots=scale.knots,
        feature_weight=feature_weight,
    )
    features = [ratings.item_features[id_] for id_ in ratings.item_ids]
    user_codes = model.encode_users(ratings.by_user, ratings.item_ids)
    item_codes = encode_items(model, ratings.by_item, ratings.user_ids, features)
    frozen = user_codes[ratings.user_ids.rows(users.ids)], item_codes[ratings.item_ids.rows(items.ids)]
    for net, bags, codes in zip(nets, (users, items), frozen, strict=True):
        expected = net(whole_bags(bags, np.arange(len(bags)), feature_weight)).detach().numpy()
        np.testing.assert_allclose(codes, expected, atol=2e-4)


def test_an_empty_bag_has_a_code():
    bags = make_training_bags(
        clusters(), infer_scale(np.array([1, 5], np.float32), CONFIG, graded=True), min_token_count=1
    )[0]
    net = TowerNet(_weights(bags, 0))
    one = whole_bags(bags, np.array([0]), 0.0)
    empty = type(one)(np.zeros(2, np.int64), one.tokens[:0], one.weights[:0], np.zeros(1, np.int32))
    assert torch.isfinite(net(empty)).all()


def test_the_hard_sign_passes_the_gradient_through_unchanged():
    relaxed = torch.tensor([0.2, -0.1, 0.0], requires_grad=True)
    signs = hard_sign(relaxed)
    (signs * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert signs.tolist() == [1.0, -1.0, -1.0]
    assert relaxed.grad.tolist() == [1.0, 2.0, 3.0]
