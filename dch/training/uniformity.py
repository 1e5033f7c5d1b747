"""Codes of items pushed apart, so that few items share one whose raters differ."""

import torch
from torch import Tensor

SHARPNESS = 16.0
"""How fast the push fades: 64 bits that differ in four push with a seventh of what equal ones do."""

MOST_ITEMS = 1024
"""Items of a step that are compared, pair by pair: a million pairs take 3 ms."""


def uniformity_loss(signs: Tensor) -> Tensor:
    """Return the mean over items of the sum over the others of exp(SHARPNESS * (cosine - 1)).

    Args:
        signs: (n, bits) codes as -1 and 1, at least one; those past MOST_ITEMS are not looked at.

    Source:
        The uniformity loss of Wang, Isola, "Understanding contrastive representation learning through
        alignment and uniformity on the hypersphere" (ICML 2020), here without its logarithm.
    """
    signs = signs[:MOST_ITEMS]
    cosines = signs @ signs.T / signs.shape[1]  # (n, n)
    cosines.fill_diagonal_(-torch.inf)
    return torch.exp(SHARPNESS * (cosines - 1)).sum() / len(signs)
