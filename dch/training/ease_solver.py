"""The closed-form solver of EASE: item-to-item weights from the inverse of a regularised Gram matrix.

All arrays have n * n elements for n items. Each step works in place or block by block, so that at most one
such array and its blocks are in memory. A graphics card inverts the matrix if it has the memory.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.errors import ConfigError, MissingExtraError

Floats = NDArray[np.float32]

BLOCK = 1024
"""Rows of the item matrix per step: 135 MB for 33,000 items."""

GPU_ARRAYS = 3
"""Matrices on a graphics card at once: the factor, the inverse, and what the library needs."""

SINGULAR = "the item matrix cannot be inverted; raise regularization"


def solve_ease(histories: Any, regularization: float) -> Floats:  # noqa: ANN401 - scipy has no types
    """Return the weights that best reconstruct each history without the item itself.

    Args:
        histories: (n_users, n) scipy.sparse matrix of rating weights, float32.
        regularization: penalty on the squared weights.

    Returns:
        (n, n) float32, from a rated item (row) to a scored item (column); the diagonal is 0.

    Raises:
        ConfigError: the regularised matrix is not positive definite.
        MissingExtraError: scipy is not installed.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 8.
    """
    gram = gram_matrix(histories)
    gram[np.diag_indices_from(gram)] += np.float32(regularization)
    return _to_weights(_invert(gram))


def cost_of(n_items: int) -> str:
    """Return the cost of an inversion as text: 4 bytes per pair, n^3 operations at 5e10 per second."""
    return f"{4e-9 * n_items**2:.1f} GB and about {n_items**3 / 5e10 / 60:.1f} minutes"


def has_gpu(n_items: int) -> bool:
    """Return whether a graphics card with memory for GPU_ARRAYS matrices of so many items inverts them."""
    return torch.cuda.is_available() and torch.cuda.mem_get_info()[0] >= GPU_ARRAYS * 4 * n_items**2


def gram_matrix(histories: Any) -> Floats:  # noqa: ANN401 - scipy has no types
    """Return (n, n) float32, the inner products of all pairs of columns of a sparse matrix."""
    n = histories.shape[1]
    gram = np.empty((n, n), np.float32)
    by_item = histories.T.tocsr()
    for start in range(0, n, BLOCK):
        gram[start : start + BLOCK] = (by_item[start : start + BLOCK] @ histories).toarray()
    return gram


def _invert(gram: Floats) -> Floats:
    """Invert a symmetric positive definite matrix in place."""
    return _invert_by_torch(gram, "cuda") if has_gpu(len(gram)) else _invert_by_lapack(gram)


def _invert_by_torch(gram: Floats, device: str) -> Floats:
    on_device = torch.from_numpy(gram).to(device)
    factor, failed = torch.linalg.cholesky_ex(on_device)
    if failed:
        raise ConfigError(SINGULAR)
    del on_device
    torch.from_numpy(gram).copy_(torch.cholesky_inverse(factor))
    return gram


def _invert_by_lapack(gram: Floats) -> Floats:
    try:
        from scipy.linalg import lapack  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtraError(
            "EASE needs scipy, which is not installed; run: pip install -c constraints.txt '.[fit]'"
        ) from missing
    # LAPACK wants column order. The transposed view of a symmetric matrix is the same matrix in that order,
    # so nothing is copied; the lower triangle of the view is the upper triangle of the matrix.
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ConfigError(SINGULAR)
    return _mirror(inverse.T)


def _mirror(upper: Floats) -> Floats:
    """Copy the upper triangle into the lower one, in place."""
    n = len(upper)
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        square = np.triu(upper[start:end, start:end])
        upper[start:end, start:end] = square + np.triu(square, 1).T
        upper[end:, start:end] = upper[start:end, end:].T
    return upper


def _to_weights(inverse: Floats) -> Floats:
    """Turn the inverse into the weights, in place: divide each column by minus its diagonal element."""
    diagonal = np.diagonal(inverse).copy()
    for start in range(0, len(inverse), BLOCK):
        inverse[start : start + BLOCK] /= -diagonal
    inverse[np.diag_indices_from(inverse)] = 0
    return inverse
