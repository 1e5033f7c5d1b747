"""Metrics of ranked lists with binary relevance: one value per list; callers average over lists.

Each list needs at least one relevant item: without one, the metrics are undefined (NaN).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""(n,) one value per list, each in [0, 1]."""


def relevance(
    ranked: NDArray[np.int32], starts: NDArray[np.int64], columns: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return which positions of ranked lists hold a relevant item.

    Args:
        ranked: (n, k) item rows, best first, -1 past the end of a list; no row twice in a list.
        starts: (n + 1,) int64.
        columns: int32; the relevant rows of list i are columns[starts[i]:starts[i + 1]], no row twice.

    Returns:
        (n, k) bool.
    """
    lists = np.repeat(np.arange(len(ranked)), np.diff(starts))
    relevant = (lists.astype(np.int64) << 32) | columns[starts[0] : starts[-1]]
    listed = (np.arange(len(ranked), dtype=np.int64)[:, None] << 32) | (ranked.astype(np.int64) & 0xFFFFFFFF)
    return np.isin(listed, relevant)


def hit_at(k: int, found: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> Values:
    """Return 1 for each list with a relevant item at its first k positions, else 0.

    Args:
        k: depth; lists may be shorter or longer.
        found: (n, depth) bool, the result of ``relevance``.
        n_relevant: (n,) number of relevant items, listed or not; at least 1.
    """
    hits: Values = found[:, :k].max(axis=1, initial=False).astype(np.float64)
    return _defined(hits, n_relevant)


def recall_at(k: int, found: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> Values:
    """Return the share of the relevant items that is at the first k positions: hits / n_relevant.

    It is below 1 if more than k items are relevant. Arguments as for ``hit_at``.
    """
    shares: Values = found[:, :k].sum(axis=1) / np.maximum(n_relevant, 1)
    return _defined(shares, n_relevant)


def ndcg_at(k: int, found: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> Values:
    """Return the discounted gain of the first k positions, divided by that of an ideal list.

    A relevant item at position i (from 0) gains 1 / log2(i + 2). The ideal list begins with min(k,
    n_relevant) relevant items. Arguments as for ``hit_at``.

    Source:
        Jaervelin and Kekaelaeinen, ACM TOIS 20(4), 2002, with binary gains and base 2.
    """
    gains = 1 / np.log2(np.arange(k) + 2)  # (k,)
    ideal = np.cumsum(gains)[np.clip(n_relevant, 1, k) - 1]  # (n,)
    head = found[:, :k]
    shares: Values = (head * gains[: head.shape[1]]).sum(axis=1) / ideal
    return _defined(shares, n_relevant)


METRICS: dict[str, Callable[[int, NDArray[np.bool_], NDArray[np.int64]], Values]] = {
    "hit": hit_at,
    "ndcg": ndcg_at,
    "recall": recall_at,
}
"""Metrics by their name in reports."""


def _defined(values: Values, n_relevant: NDArray[np.int64]) -> Values:
    return np.where(n_relevant > 0, values, np.nan)
