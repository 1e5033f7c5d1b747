"""The strongest weights of each row, and the scores of sparse and dense weights."""

import numpy as np
import pytest
from scipy import sparse

from dch.experiments.baselines import item_weights
from dch.experiments.baselines.item_weights import FittedItemWeights, strongest
from dch.experiments.baselines.rating_matrix import TrainedIds
from tests.dch.experiments.baselines.blocks import cut, two_blocks


def slow_strongest(weights, k):
    """Keep the k largest absolute values of each row, one by one."""
    kept = np.zeros_like(weights)
    for row, own in enumerate(weights):
        others = [column for column in range(len(own)) if column != row]
        for column in sorted(others, key=lambda at: -abs(own[at]))[:k]:
            kept[row, column] = own[column]
    return kept


@pytest.mark.parametrize("k", [1, 4, 22, 23, 50])
@pytest.mark.parametrize("block", [5, 512])
def test_each_row_keeps_its_strongest_weights(monkeypatch, k, block):
    monkeypatch.setattr(item_weights, "BLOCK", block)
    weights = np.random.default_rng(k).normal(size=(23, 23)).astype(np.float32)
    found = strongest(lambda cut: weights[cut].copy(), 23, k)
    assert np.array_equal(found.toarray(), slow_strongest(weights, k))
    assert found.nnz == 23 * min(k, 22)


def test_zeros_are_not_stored():
    weights = np.diag(np.ones(6, np.float32)) + np.eye(6, k=1, dtype=np.float32)
    assert strongest(lambda cut: weights[cut].copy(), 6, 3).nnz == 5


def test_sparse_weights_score_as_dense_ones():
    train, given, _, new_items = cut(two_blocks())
    items = TrainedIds.of(train).items
    dense = np.random.default_rng(0).normal(size=(len(items), len(items))).astype(np.float32)
    from dch.config import DchConfig
    from dch.training.rating_weights import infer_scale

    scale = infer_scale(train.values, DchConfig(), graded=True, users=train.users)
    everyone = np.arange(train.n_users, dtype=np.int32)
    one, other = (
        FittedItemWeights(train, scale, items, weights).fold_in(given)(everyone)
        for weights in (dense, sparse.csr_matrix(dense))
    )
    assert one[:, items] == pytest.approx(other[:, items], abs=1e-4)
    assert (one[:, new_items] == -np.inf).all()
    assert (other[:, new_items] == -np.inf).all()
