"""Binary codes of the baselines: made from real vectors, and a scorer by inner products of codes.

The codes are not packed: each bit is an int8 of -1 or 1, because the baselines compute with them as numbers.
A row of zeros means that the user or item is unknown and has no code.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SignCodes = NDArray[np.int8]
"""(n, bits) of -1 and 1; a row of zeros is not a code."""


def to_codes(relaxed: Floats) -> SignCodes:
    """Return the signs of real vectors; 0 counts as positive, and a row with a NaN gets no code.

    Args:
        relaxed: (n, bits).

    Returns:
        (n, bits) int8.
    """
    codes = np.where(relaxed >= 0, np.int8(1), np.int8(-1))
    codes[np.isnan(relaxed).any(axis=1)] = 0
    return codes


def has_code(codes: SignCodes) -> NDArray[np.bool_]:
    """Return which rows have a code, (n,) bool."""
    known: NDArray[np.bool_] = codes[:, 0] != 0
    return known


@dataclass(frozen=True)
class BinaryScorer:
    """Scores an item by the inner product b . d, which is bits - 2 * distance."""

    users: SignCodes
    """(n_users, bits)."""

    items: SignCodes
    """(n_items, bits)."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, larger is better, -inf where either has no code."""
        codes = self.users[users]
        scores: Floats = codes.astype(np.float32) @ self._columns
        scores[:, ~has_code(self.items)] = -np.inf
        scores[~has_code(codes)] = -np.inf
        return scores

    @cached_property
    def _columns(self) -> Floats:
        return self.items.T.astype(np.float32)
