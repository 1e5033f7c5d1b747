"""NeuMF finds planted structure among fitted users and items; others are unknown."""

import numpy as np
import torch

from dch.experiments.baselines import neural_mf
from dch.experiments.baselines.neural_mf import fit_neural_mf
from tests.dch.experiments.baselines.blocks import cut, share_in_own_block, two_blocks

SETTINGS = {"steps": 500, "batch": 32}


def everyone(ratings):
    return np.arange(ratings.n_users, dtype=np.int32)


def test_users_prefer_their_own_block_and_new_users_and_items_are_unknown():
    train, given, new_users, new_items = cut(two_blocks())
    scores = fit_neural_mf(train, **SETTINGS).fold_in(given)(everyone(train))
    assert share_in_own_block(scores, train) > 0.9
    assert (scores[new_users] == -np.inf).all()
    assert (scores[:, new_items] == -np.inf).all()
    assert np.isfinite(scores[np.ix_(~new_users, ~new_items)]).all()


def test_scores_of_all_items_equal_scores_of_each_pair(monkeypatch):
    monkeypatch.setattr(neural_mf, "PAIRS", 100)
    train, _, new_users, new_items = cut(two_blocks())
    fitted = fit_neural_mf(train, steps=3, batch=256)
    known = np.ix_(~new_users, ~new_items)
    scores = fitted(everyone(train))[known]
    n_users, n_items = scores.shape
    users, items = torch.arange(n_users).repeat_interleave(n_items), torch.arange(n_items).repeat(n_users)
    with torch.no_grad():
        expected = fitted.net(users, items).numpy().reshape(scores.shape)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_rated_item_is_never_a_negative():
    train = two_blocks()
    pairs = neural_mf._Pairs.of(train, neural_mf.TrainedIds.of(train), graded=False)
    rated = {(user, item) for user, item in zip(pairs.users.tolist(), pairs.items.tolist(), strict=True)}
    users, items, labels, weights = (
        part.tolist() for part in pairs.sample(np.arange(50), 8, np.random.default_rng(0))
    )
    assert labels == [1.0] * 50 + [0.0] * 400
    for pair, label, weight in zip(zip(users, items, strict=True), labels, weights, strict=True):
        assert weight == (1.0 if (pair in rated) == bool(label) else 0.0)
    assert 0 in weights


def test_equal_seeds_give_equal_scores_up_to_rounding_and_the_global_generator_is_not_used():
    train = two_blocks()
    torch.manual_seed(7)
    once = fit_neural_mf(train, steps=5, seed=1)(everyone(train))
    after = torch.rand(())
    torch.manual_seed(7)
    assert torch.rand(()) == after
    again, other = (fit_neural_mf(train, steps=5, seed=seed)(everyone(train)) for seed in (1, 2))
    np.testing.assert_allclose(once, again, atol=1e-4)  # rounding in torch depends on its threads
    assert np.abs(once - other).max() > 0.01
