"""Items without neighbours in lists with neighbours: each keeps the position that it has without them.

No rating speaks for an item that is newer than the fit. Its score lacks a part that the scores of the others
have, so an order by score would place it behind them, whatever it is like. Its position in the list of
strategy ``codes+rerank`` is fair. The other positions go to the other items, in the order of their scores.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results


@kernel
def keep_positions(
    n: int,
    rows: Ints,
    distances: Ints,
    scores: Floats,
    fitted: Ints,
    scales: NDArray[np.uint16],
    without: Ints,
    without_distances: Ints,
    without_scores: Floats,
    precedence: Integers,
) -> None:
    """Move the kept rows of a list to their positions in the list without neighbours.

    A kept row gets the score of the next row that is not kept (at the end of the list: of the last one),
    so the scores still descend. In a list of kept rows alone, all have their scores without neighbours.

    Args:
        n: length of the list; the arrays may be longer.
        rows: the list, in the order by score; written, as are distances and scores.
        distances: of the rows.
        scores: of the rows.
        fitted: (n_rows,) row of each item in the fit, negative where the fit never saw it.
        scales: (n_fitted,) factors of the weights, 0 where no weight speaks for the item.
        without: (m,) the nearest codes, all kept rows of the list among them; sorted here, by score.
        without_distances: (m,).
        without_scores: (m,) scores without neighbours.
        precedence: (n_rows,) integers that break ties.
    """
    sort_results(True, len(without), without, without_distances, without_scores, precedence)
    others = _others(n, rows, distances, scores, fitted, scales)
    taken = 0
    for at in range(n):
        if at < len(without) and is_kept(without[at], fitted, scales):
            rows[at], distances[at] = without[at], without_distances[at]
            scores[at] = without_scores[at]
            if len(others[0]):
                scores[at] = others[2][min(taken, len(others[0]) - 1)]
        else:
            rows[at], distances[at] = others[0][taken], others[1][taken]
            scores[at] = others[2][taken]
            taken += 1


@kernel
def is_kept(row: int, fitted: Ints, scales: NDArray[np.uint16]) -> bool:
    """Return whether no weight speaks for a row."""
    item = fitted[row]
    return bool(item < 0 or item >= len(scales) or scales[item] == 0)


@kernel
def _others(
    n: int, rows: Ints, distances: Ints, scores: Floats, fitted: Ints, scales: NDArray[np.uint16]
) -> tuple[Ints, Ints, Floats]:
    """Return copies of the rows that are not kept, in order, with their distances and scores."""
    chosen = np.array([at for at in range(n) if not is_kept(rows[at], fitted, scales)], np.int32)
    return rows[chosen], distances[chosen], scores[chosen]
