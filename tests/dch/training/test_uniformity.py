import numpy as np
import pytest
import torch

from dch.training.net import hard_sign
from dch.training.uniformity import MOST_ITEMS, SHARPNESS, uniformity_loss


def test_the_loss_is_that_of_a_computation_by_hand():
    signs = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, -1]])
    near, half = 1.0, np.exp(SHARPNESS * (0.5 - 1))  # equal codes; codes that differ in one bit of four
    assert uniformity_loss(signs).item() == pytest.approx((2 * near + 4 * half) / 3)


def test_one_item_has_nobody_to_be_kept_from():
    assert uniformity_loss(torch.ones(1, 8)).item() == 0


def test_equal_codes_are_pushed_apart_and_far_ones_are_not_moved():
    relaxed = torch.tensor([[0.1] * 8, [0.1] * 8, [-0.1] * 8], requires_grad=True)
    uniformity_loss(hard_sign(relaxed)).backward()
    push = relaxed.grad
    assert (push[:2] > 0).all()  # down the gradient: towards another sign
    assert push[2].abs().max() < 1e-6


def test_items_past_the_most_are_not_looked_at():
    signs = torch.ones(MOST_ITEMS + 1, 8)
    assert uniformity_loss(signs).item() == MOST_ITEMS - 1
