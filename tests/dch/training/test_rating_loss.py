"""Compare each term of Equation 1 with a computation by hand on 3 users, 4 items and 2 bits."""

import pytest
import torch
from torch import nn

from dch.training.rating_loss import (
    binary_copy,
    binary_gap,
    data_term,
    next_multiplier,
    residual,
    scaled_ratings,
    squared_norm,
)

RATINGS = torch.tensor([[5.0, 0, 3, 0], [0, 1, 0, 0], [4, 0, 0, 2]])  # 0: not rated
USERS = torch.tensor([[0.5, -0.5], [1.0, 0.0], [-0.5, 0.25]])
ITEMS = torch.tensor([[1.0, -1.0], [0.5, 0.5], [0.0, 1.0], [-1.0, 0.0]])
COPY = torch.tensor([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
MULTIPLIER = torch.tensor([[0.2, 0.0], [0.0, -0.4], [0.0, 0.0]])
MU = 2.0


def _observed():
    rows, columns = torch.nonzero(RATINGS, as_tuple=True)
    return rows, columns, RATINGS[rows, columns]


def test_ratings_are_scaled_to_the_range_of_the_product_of_two_codes():
    scaled = scaled_ratings(torch.tensor([1.0, 3.0, 5.0]), low=1.0, high=5.0, bits=8)
    assert scaled.tolist() == [-8.0, 0.0, 8.0]
    assert scaled_ratings(torch.tensor([1.0]), low=1.0, high=1.0, bits=8).tolist() == [8.0]


def test_the_data_term_is_the_mean_squared_error_over_observed_ratings():
    rows, columns, values = _observed()
    scaled = scaled_ratings(values, low=1.0, high=5.0, bits=2)  # 2, 0, -2, 1, -1
    products = [0.5 + 0.5, -0.5, 0.5, -0.5 - 0.25, 0.5]
    by_hand = sum((s - p) ** 2 for s, p in zip([2, 0, -2, 1, -1], products, strict=True)) / 5
    assert data_term(scaled, USERS[rows], ITEMS[columns]).item() == pytest.approx(by_hand)


def test_the_binary_gap_is_the_penalty_of_the_equation_averaged_over_rows():
    # rows of B - (P + E/mu): (-.6, .5), (0, 1.2), (.5, -.75)
    by_hand = MU / 2 * ((0.36 + 0.25) + 1.44 + (0.25 + 0.5625)) / 3
    assert binary_gap(USERS, COPY, MULTIPLIER, mu=MU).item() == pytest.approx(by_hand)


def test_the_regulariser_is_the_squared_norm_of_all_parameters():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -2.0]]))
        net.bias.fill_(3.0)
    assert squared_norm(net).item() == pytest.approx(1 + 4 + 9)


def test_the_copy_is_the_sign_of_relaxed_minus_multiplier_over_mu():
    assert binary_copy(USERS, MULTIPLIER, mu=MU).tolist() == [[1, -1], [1, 1], [-1, 1]]


def test_the_copy_minimises_the_gap():
    best = binary_copy(USERS, MULTIPLIER, mu=MU)
    least = binary_gap(USERS, best, MULTIPLIER, mu=MU)
    for row in range(3):
        for bit in range(2):
            other = best.clone()
            other[row, bit] *= -1
            assert binary_gap(USERS, other, MULTIPLIER, mu=MU) >= least


def test_the_multiplier_moves_by_mu_times_the_residual():
    moved = next_multiplier(USERS, COPY, MULTIPLIER, mu=MU)
    torch.testing.assert_close(moved, torch.tensor([[1.2, -1.0], [0.0, -2.4], [-1.0, 1.5]]))


def test_the_residual_of_binary_codes_is_zero():
    assert residual(COPY, COPY) == 0.0
    assert residual(torch.zeros(2, 2), torch.ones(2, 2)) == 1.0


@pytest.mark.parametrize(
    "term",
    [
        lambda b: data_term(torch.tensor([1.0, -2.0, 0.5], dtype=b.dtype), b, ITEMS[:3].to(b.dtype)),
        lambda b: binary_gap(b, COPY.to(b.dtype), MULTIPLIER.to(b.dtype), mu=MU),
    ],
    ids=["data_term", "binary_gap"],
)
def test_the_gradient_of_each_term_equals_finite_differences(term):
    relaxed = USERS.double().requires_grad_()
    assert torch.autograd.gradcheck(term, (relaxed,))


def test_the_gradient_of_the_regulariser_is_twice_the_parameter():
    net = nn.Linear(2, 1).double()
    squared_norm(net).backward()
    torch.testing.assert_close(net.weight.grad, 2 * net.weight.detach())


def test_the_updates_make_codes_converge_to_their_binary_copies():
    codes = USERS.clone().requires_grad_()
    multiplier = torch.zeros_like(USERS)
    copy = binary_copy(USERS, multiplier, mu=1.0)
    first = residual(USERS, copy)
    optimizer = torch.optim.SGD([codes], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        pull = 0.1 * (codes - USERS).square().sum()  # stands for the data term
        (pull + 3 * binary_gap(codes, copy, multiplier, mu=1.0)).backward()
        optimizer.step()
        copy = binary_copy(codes.detach(), multiplier, mu=1.0)
        multiplier = next_multiplier(codes.detach(), copy, multiplier, mu=1.0)
    assert residual(codes.detach(), copy) < 0.1 * first
