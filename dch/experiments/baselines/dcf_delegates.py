"""Delegates: the balanced, decorrelated matrix that codes are drawn to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.errors import ConfigError
from dch.experiments.baselines.binary import Floats

RANK_TOLERANCE = 1e-5
"""Singular values below this share of the largest count as zero."""


def delegates(codes: NDArray[Any]) -> Floats:
    """Return the balanced, decorrelated matrix X nearest to the codes B: it makes tr(B^T X) largest.

    Args:
        codes: (n, bits) codes or real vectors, n above bits.

    Returns:
        (n, bits) float32 with X^T 1 = 0 and X^T X = n I.

    Raises:
        ConfigError: there are too few rows for such a matrix.

    Source:
        Zhang et al. 2016, the X-subproblem: singular vectors of the centred codes, those of the singular
        value 0 replaced by any that are orthonormal and balanced (Gram-Schmidt; here a QR decomposition).
    """
    n, bits = codes.shape
    if n <= bits:
        raise ConfigError(
            f"DCF needs more than {bits} users and items for {bits} bits, got {n}; use fewer bits"
        )
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    squares, right = np.linalg.eigh(
        centred.T @ centred
    )  # of bits x bits: far quicker than the SVD of n x bits
    kept = squares > RANK_TOLERANCE**2 * max(squares[-1], 1.0)
    left = centred @ (right[:, kept] / np.sqrt(squares[kept]))  # (n, rank)
    right = np.hstack([right[:, kept], right[:, ~kept]])
    left = np.hstack([left, _balanced(left, bits - left.shape[1])])
    nearest: Floats = (np.sqrt(n) * (left @ right.T)).astype(np.float32)
    return nearest


def _balanced(basis: NDArray[np.float64], n_more: int) -> NDArray[np.float64]:
    """Return more columns, orthonormal among themselves, to the basis and to the vector of ones."""
    n, rank = basis.shape
    if not n_more:
        return np.empty((n, 0))
    drawn = np.random.default_rng(0).standard_normal((n, n_more))  # any will do: the optimum is the same
    ones = np.full((n, 1), 1 / np.sqrt(n))
    return np.linalg.qr(np.hstack([ones, basis, drawn]))[0][:, 1 + rank :]
