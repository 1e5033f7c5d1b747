"""The loss of the rating objective, Equation 1 term by term, with binary copies by ADMM.

Source of every term: the poster Deep Collaborative Hashing, after Li, Wang, Pan, Peng, Yang, Cambria,
"Learning binary codes with neural collaborative filtering for efficient recommendation systems",
Knowledge-Based Systems 172 (2019); the alternating updates are those of Boyd, Parikh, Chu, Peleato, Eckstein,
"Distributed optimization and statistical learning via ADMM" (2011), section 3. Where the equation sums over
all data, this code takes the mean over a batch, so that the weights of the terms do not depend on the data's
size.
"""

import torch
from torch import Tensor, nn


def scaled_ratings(values: Tensor, *, low: float, high: float, bits: int) -> Tensor:
    """Map ratings from [low, high] to [-bits, bits], the range of b . d; to bits if low equals high."""
    if low == high:
        return torch.full_like(values, float(bits))
    return bits * (2 * (values - low) / (high - low) - 1)


def data_term(scaled: Tensor, user_relaxed: Tensor, item_relaxed: Tensor) -> Tensor:
    """Return the mean of (S_ij - b_i . d_j)^2 over observed ratings.

    Args:
        scaled: (n,) S_ij, each in [-bits, bits].
        user_relaxed: (n, bits) b_i of the user of each rating.
        item_relaxed: (n, bits) d_j of the item of each rating.

    Source:
        Equation 1, first line.
    """
    return (scaled - (user_relaxed * item_relaxed).sum(dim=1)).square().mean()


def binary_gap(relaxed: Tensor, copy: Tensor, multiplier: Tensor, *, mu: float) -> Tensor:
    """Return mu/2 * ||B - (P + E/mu)||^2, averaged over the rows.

    Args:
        relaxed: (n, bits) B, or D.
        copy: (n, bits) its binary copy P, or Q, each -1 or +1.
        multiplier: (n, bits) E, or F.
        mu: the penalty.

    Source:
        Equation 1, second line; the same term for users and for items.
    """
    return mu / 2 * (relaxed - (copy + multiplier / mu)).square().sum(dim=1).mean()


def squared_norm(net: nn.Module) -> Tensor:
    """Return ||theta||^2, the squared norm of all parameters of one tower.

    Source:
        Equation 1, third line.
    """
    return torch.stack([parameter.square().sum() for parameter in net.parameters()]).sum()


def binary_copy(relaxed: Tensor, multiplier: Tensor, *, mu: float) -> Tensor:
    """Return P = sign(B - E/mu), the copy that minimises ``binary_gap``; the sign of 0 is -1.

    Source:
        The update of P, and of Q, in the ADMM of Equation 1.
    """
    return torch.where(relaxed - multiplier / mu > 0, 1.0, -1.0)


def next_multiplier(relaxed: Tensor, copy: Tensor, multiplier: Tensor, *, mu: float) -> Tensor:
    """Return E + mu * (P - B).

    Source:
        The update of E, and of F, in the ADMM of Equation 1.
    """
    return multiplier + mu * (copy - relaxed)


def residual(relaxed: Tensor, copy: Tensor) -> float:
    """Return the root mean square of B - P, which is 0 for relaxed codes that are binary."""
    return float((relaxed - copy).square().mean().sqrt())
