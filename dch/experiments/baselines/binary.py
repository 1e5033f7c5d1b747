"""Binary codes of the compared methods: made from real vectors, and a scorer by their products.

They are kept unpacked, one int8 of -1 or 1 per bit, because the compared methods compute with them as
numbers. A row of zeros is no code: nothing is known about that user or item.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]
"""(n, bits) of -1 and 1, or a row of zeros where nothing is known."""


def to_codes(relaxed: Floats) -> Codes:
    """Return the signs of real vectors; 0 counts as positive, a row with a NaN gets no code.

    Args:
        relaxed: (n, bits).

    Returns:
        (n, bits) int8.
    """
    codes = np.where(relaxed >= 0, np.int8(1), np.int8(-1))
    codes[np.isnan(relaxed).any(axis=1)] = 0
    return codes


def has_code(codes: Codes) -> NDArray[np.bool_]:
    """Tell which rows have a code, (n,) bool."""
    known: NDArray[np.bool_] = codes[:, 0] != 0
    return known


@dataclass(frozen=True)
class BinaryScorer:
    """Scores an item by b . d, which is bits - 2 * distance."""

    users: Codes
    """(n_users, bits)."""

    items: Codes
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
