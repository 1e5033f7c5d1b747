"""ItemCF against cosines of pairs of items, computed one by one."""

import numpy as np
import pytest

from dch.experiments.baselines.item_cf import fit_item_cf
from tests.dch.experiments.baselines.blocks import cut, share_in_own_block, two_blocks


def slow_cosines(histories, shrinkage):
    n = histories.shape[1]
    weights = np.zeros((n, n))
    for rated in range(n):
        for scored in range(n):
            own, other = histories[:, rated], histories[:, scored]
            lengths = np.sqrt((own**2).sum()) * np.sqrt((other**2).sum())
            weights[rated, scored] = 0 if rated == scored else (own * other).sum() / (lengths + shrinkage)
    return weights


@pytest.mark.parametrize(("graded", "shrinkage"), [(False, 0.0), (True, 30.0)])
def test_the_weights_are_shrunk_cosines_and_the_strongest_of_each_scored_item_are_kept(graded, shrinkage):
    train, _, _, _ = cut(two_blocks(n_users=24, n_items=16))
    fitted = fit_item_cf(train, k=4, shrinkage=shrinkage, graded=graded)
    histories = np.zeros((train.n_users, train.n_items))
    histories[train.users, train.items] = fitted.scale.weights(train.values) if graded else 1
    whole = slow_cosines(histories[:, fitted.items], shrinkage)
    found = fitted.weights.toarray()
    kept = found != 0
    assert found[kept] == pytest.approx(whole[kept], rel=1e-4)
    assert (kept.sum(axis=0) == 4).all()
    weakest = np.where(kept, whole, np.inf).min(axis=0)
    left_out = np.where(kept, -np.inf, whole).max(axis=0)
    assert (weakest >= left_out - 1e-6).all()  # equal cosines may go either way


def test_known_and_new_users_prefer_their_own_block():
    train, given, _, new_items = cut(two_blocks())
    scores = fit_item_cf(train, k=10).fold_in(given)(np.arange(train.n_users, dtype=np.int32))
    assert share_in_own_block(scores, train) == 1
    assert (scores[:, new_items] == -np.inf).all()
