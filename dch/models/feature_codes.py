"""Feature codes: relaxed codes and ranking vectors of items of which only features are known.

The item tower learns from ratings, and its outputs for features alone are poor. So such items get theirs by a
linear map from feature tokens and pairs of these, which a fit learns from the outputs of items with ratings:
see ``dch.training.feature_regression``. From the first rating by a user of the training data on, the tower
encodes an item.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.jit import kernel
from dch.models.towers import Floats, Ints


class FeatureCodes(NamedTuple):
    """What each token and each pair of tokens adds to the outputs of an item."""

    pairs: NDArray[np.int64]
    """(n_pairs,) ascending: ``(first << 32) | second`` of rows of ``Model.item_tokens``, first < second."""

    table: Floats
    """(n_tokens + n_pairs + 1, bits + vector_size): by token, then by pair; the last row is in all outputs.
    Empty in a model of earlier versions, or of a fit without item features: the tower encodes all items."""

    @property
    def is_empty(self) -> bool:
        """Return whether the item tower encodes items without ratings, too."""
        return self.table.size == 0

    def outputs(self, starts: NDArray[np.int64], tokens: Ints) -> Floats:
        """Return relaxed codes and ranking vectors by features alone, (n, bits + vector_size).

        Sums are float32 and in a fixed order: the last row, the tokens, the pairs. The work of an item grows
        with the square of the number of its tokens that occur in a pair, and is linear in all others.

        Args:
            starts: (n + 1,) item i has the tokens ``tokens[starts[i]:starts[i + 1]]``.
            tokens: (starts[n],) rows of ``Model.item_tokens``, ascending in each item.
        """
        return _outputs(self.pairs, self.table, starts, tokens)


NO_FEATURE_CODES = FeatureCodes(np.empty(0, np.int64), np.empty((0, 0), np.float32))


@kernel
def _outputs(pairs: NDArray[np.int64], table: Floats, starts: NDArray[np.int64], tokens: Ints) -> Floats:
    n_tokens = len(table) - len(pairs) - 1
    is_paired = np.zeros(n_tokens, np.bool_)
    for pair in pairs:
        is_paired[pair >> 32] = True
        is_paired[pair & 0xFFFFFFFF] = True
    outputs = np.empty((len(starts) - 1, table.shape[1]), np.float32)
    for i in range(len(outputs)):
        of_item = tokens[starts[i] : starts[i + 1]]
        outputs[i] = table[-1]
        for token in of_item:
            outputs[i] += table[token]
        paired = of_item[is_paired[of_item]]
        for at in range(len(paired)):
            for other in range(at + 1, len(paired)):
                pair = (np.int64(paired[at]) << 32) | np.int64(paired[other])
                row = np.searchsorted(pairs, pair)
                if row < len(pairs) and pairs[row] == pair:
                    outputs[i] += table[n_tokens + row]
    return outputs


def check_feature_codes(feature_codes: FeatureCodes, n_tokens: int, size: int) -> None:
    """Check that feature codes fit a model with so many item tokens and outputs of this size.

    Raises:
        CodeShapeError: they do not.
    """
    pairs, table = feature_codes
    wanted = (n_tokens + len(pairs) + 1, size)
    if not feature_codes.is_empty and table.shape != wanted:
        raise CodeShapeError(
            f"the table of feature codes has shape {table.shape}, but {n_tokens} item tokens, {len(pairs)} "
            f"pairs and outputs of {size} need {wanted}"
        )
    first, second = pairs >> 32, pairs & 0xFFFFFFFF
    if not ((np.diff(pairs) > 0).all() and ((first >= 0) & (first < second) & (second < n_tokens)).all()):
        raise CodeShapeError(f"the pairs of feature codes are not ascending pairs of {n_tokens} item tokens")
