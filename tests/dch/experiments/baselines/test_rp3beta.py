"""RP3beta against the walk of three steps, summed user by user."""

import numpy as np
import pytest

from dch.experiments.baselines.rp3beta import fit_rp3beta
from tests.dch.experiments.baselines.blocks import cut, share_in_own_block, two_blocks
from tests.dch.experiments.baselines.test_item_weights import slow_strongest


def slow_walk(histories, alpha, beta):
    """Return the weight from each rated item to each scored item: sums over the users who rated both."""
    n_users, n_items = histories.shape
    weights = np.zeros((n_items, n_items))
    for rated in range(n_items):
        for scored in range(n_items):
            for user in range(n_users):
                to_user = histories[user, rated] / histories[:, rated].sum()
                to_item = histories[user, scored] / histories[user].sum()
                weights[rated, scored] += to_user**alpha * to_item**alpha
            weights[rated, scored] /= (histories[:, scored] > 0).sum() ** beta
    return weights


@pytest.mark.parametrize(("graded", "alpha", "beta"), [(False, 1.0, 0.4), (True, 1.6, 0.8)])
def test_the_weights_are_those_of_the_walk(graded, alpha, beta):
    train, _, _, _ = cut(two_blocks(n_users=24, n_items=16))
    fitted = fit_rp3beta(train, k=5, alpha=alpha, beta=beta, graded=graded)
    histories = np.zeros((train.n_users, train.n_items))
    histories[train.users, train.items] = fitted.scale.weights(train.values) if graded else 1
    histories = histories[np.ix_(np.unique(train.users), fitted.items)]
    whole = slow_walk(histories, alpha, beta)
    found = fitted.weights.toarray()
    kept = found != 0
    assert found[kept] == pytest.approx(whole[kept], rel=1e-4)
    assert (kept.sum(axis=1) <= 5).all()
    weakest = np.where(kept, whole, np.inf).min(axis=1)
    left_out = np.where(kept | np.eye(len(whole), dtype=bool), -np.inf, whole).max(axis=1)
    assert (weakest >= left_out - 1e-6).all()  # equal weights may go either way
    assert kept.sum() == (slow_strongest(whole, 5) != 0).sum()


def test_known_and_new_users_prefer_their_own_block():
    train, given, _, new_items = cut(two_blocks())
    scores = fit_rp3beta(train, k=10).fold_in(given)(np.arange(train.n_users, dtype=np.int32))
    assert share_in_own_block(scores, train) == 1
    assert (scores[:, new_items] == -np.inf).all()
