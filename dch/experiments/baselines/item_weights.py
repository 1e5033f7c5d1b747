"""Item-to-item weights: a scorer for all baselines that have them, and the strongest weights of each item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.experiments.baselines.rating_matrix import RowNumbers, join, weight_matrix
from dch.training.rating_weights import RatingScale

Floats = NDArray[np.float32]

BLOCK = 512
"""Items whose weights are dense at a time: 68 MB for 33,000 items."""

BYTES_PER_WEIGHT = 5
"""A row number of four bytes, and a weight of one, as neighbours are stored."""


@dataclass(frozen=True)
class ItemScorer:
    """Scores an item by the weights from the items that the user rated."""

    histories: Any
    """(n_users, n_known) scipy.sparse.csr_matrix of rating weights."""

    weights: Any
    """(n_known, n_known), dense float32 or a scipy.sparse matrix."""

    items: RowNumbers
    """(n_known,) rows of the known items."""

    n_items: int

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, -inf for new items and for users with no known item."""
        scores = np.full((len(users), self.n_items), -np.inf, np.float32)
        histories = self.histories[users]
        has_any = np.flatnonzero(np.diff(histories.indptr))
        found = histories[has_any] @ self.weights
        scores[np.ix_(has_any, self.items)] = found if isinstance(found, np.ndarray) else found.toarray()
        return scores


@dataclass(frozen=True)
class FittedItemWeights:
    """The weights between the items of the training ratings."""

    train: Ratings
    scale: RatingScale
    items: RowNumbers
    """(n_known,) rows of the items with a training rating."""

    weights: Any
    """(n_known, n_known), from a rated item (row) to a scored item (column); the diagonal is 0."""

    def fold_in(self, given: Ratings) -> ItemScorer:
        """Return the scores from the training and given ratings of known items together.

        New users are scored like known users. New items have no weights and score -inf.
        """
        everyone = np.arange(self.train.n_users)
        histories = weight_matrix(join(self.train, given), self.scale, everyone, self.items)
        return ItemScorer(histories, self.weights, self.items, self.train.n_items)


def strongest(rows_of: Callable[[slice], Floats], n: int, k: int) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the k weights with the largest absolute values of each row, without the diagonal and zeros.

    Args:
        rows_of: returns some rows of the weights, dense: (rows, n) float32, which are overwritten.
        n: number of items.
        k: weights that each row keeps.

    Returns:
        (n, n) scipy.sparse.csr_matrix, float32.
    """
    from scipy import sparse  # type: ignore[import-untyped]

    blocks = []
    for start in range(0, n, BLOCK):
        rows = rows_of(slice(start, min(start + BLOCK, n)))
        at = np.arange(len(rows))
        rows[at, start + at] = 0
        if k < n:
            weak = np.argpartition(-np.abs(rows), k - 1, axis=1)[:, k:]
            np.put_along_axis(rows, weak, np.float32(0), axis=1)
        blocks.append(sparse.csr_matrix(rows))
    return sparse.vstack(blocks, format="csr")
