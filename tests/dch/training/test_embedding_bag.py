import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dch.training.embedding_bag import BagBatch, bag_sum, torch_bag_sum

HIDDEN = 5
ROWS = 6


@st.composite
def batches(draw):
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    n = sum(lengths)
    tokens = draw(st.lists(st.integers(0, ROWS - 1), min_size=n, max_size=n))
    weights = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, -2.0]), min_size=n, max_size=n))
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return BagBatch(
        starts, np.array(tokens, np.int32), np.array(weights, np.float32), np.array(lengths, np.int32)
    )


def _table():
    return torch.randn(ROWS, HIDDEN, generator=torch.Generator().manual_seed(0)).requires_grad_()


@given(batches())
def test_the_compiled_bag_and_its_gradient_equal_those_of_torch(batch):
    compiled, oracle = _table(), _table()
    weights = torch.arange(len(batch) * HIDDEN, dtype=torch.float32).reshape(len(batch), HIDDEN)
    ours, theirs = bag_sum(compiled, batch), torch_bag_sum(oracle, batch)
    torch.testing.assert_close(ours, theirs)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(compiled.grad, oracle.grad)


@given(batches())
def test_the_number_of_threads_changes_no_bit(batch):
    def both(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            table = _table()
            out = bag_sum(table, batch)
            out.square().sum().backward()
            return out.detach(), table.grad
        finally:
            torch.set_num_threads(before)

    for one, three in zip(both(1), both(3), strict=True):
        assert torch.equal(one, three)


def test_an_empty_bag_is_zero():
    empty = BagBatch(
        np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.zeros(1, np.int32)
    )
    assert torch.equal(bag_sum(_table(), empty), torch.zeros(1, HIDDEN))
    assert torch.equal(torch_bag_sum(_table(), empty), torch.zeros(1, HIDDEN))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a cuda device")
def test_a_cuda_device_gives_the_same_sums():
    starts = np.array([0, 2, 3], np.int64)
    batch = BagBatch(
        starts, np.array([0, 1, 5], np.int32), np.ones(3, np.float32), np.array([2, 1], np.int32)
    )
    there = bag_sum(_table().detach().cuda(), batch).cpu()
    torch.testing.assert_close(there, bag_sum(_table(), batch).detach())
