"""Compare metrics with a table computed by hand and with a loop over sets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.evaluation.metrics import METRICS, hit_at, ndcg_at, recall_at, relevance

# log2(2) = 1, log2(3) = 1.58496, log2(4) = 2, log2(5) = 2.32193
TABLE = [
    # relevant positions, n_relevant, k, hit, ndcg, recall
    ((1, 0, 0, 0), 1, 4, 1, 1.0, 1.0),
    ((0, 1, 0, 0), 1, 4, 1, 0.63093, 1.0),
    ((0, 0, 0, 1), 1, 4, 1, 0.43068, 1.0),
    ((0, 0, 0, 0), 3, 4, 0, 0.0, 0.0),
    ((1, 0, 1, 0), 2, 4, 1, 0.91972, 1.0),  # 1.5 / 1.63093
    ((1, 0, 1, 0), 3, 4, 1, 0.70392, 0.66667),  # 1.5 / 2.13093
    ((1, 1, 1, 1), 9, 4, 1, 1.0, 0.44444),  # four of nine; no list of four can do better
    ((0, 1, 1, 0), 9, 2, 1, 0.38685, 0.11111),  # 0.63093 / 1.63093
    ((1, 0, 0, 0), 1, 9, 1, 1.0, 1.0),  # a list shorter than k
]


@pytest.mark.parametrize(("positions", "n_relevant", "k", "hit", "ndcg", "recall"), TABLE)
def test_metrics_equal_the_table(positions, n_relevant, k, hit, ndcg, recall):
    found, total = np.array([positions], np.bool_), np.array([n_relevant])
    assert hit_at(k, found, total).tolist() == [hit]
    assert ndcg_at(k, found, total)[0] == pytest.approx(ndcg, abs=1e-5)
    assert recall_at(k, found, total)[0] == pytest.approx(recall, abs=1e-5)


def test_metrics_are_undefined_without_a_relevant_item():
    for metric in METRICS.values():
        assert math.isnan(metric(3, np.zeros((1, 3), np.bool_), np.array([0]))[0])


ROWS = st.integers(0, 6)
LISTS = st.lists(st.tuples(st.lists(ROWS, unique=True, min_size=4, max_size=4), st.sets(ROWS, min_size=1)))


@given(LISTS, st.integers(1, 6))
def test_metrics_equal_a_loop_over_sets(lists, k):
    ranked = np.array([row for row, _ in lists], np.int32).reshape(-1, 4)
    starts = np.cumsum([0, *(len(wanted) for _, wanted in lists)])
    columns = np.array([row for _, wanted in lists for row in wanted], np.int32)
    found = relevance(ranked, starts, columns)
    for i, (rows, wanted) in enumerate(lists):
        gains = [1 / math.log2(position + 2) for position, row in enumerate(rows[:k]) if row in wanted]
        ideal = [1 / math.log2(position + 2) for position in range(min(k, len(wanted)))]
        counts = np.diff(starts)
        assert ndcg_at(k, found, counts)[i] == pytest.approx(sum(gains) / sum(ideal))
        assert recall_at(k, found, counts)[i] == pytest.approx(len(gains) / len(wanted))
        assert hit_at(k, found, counts)[i] == bool(gains)


def test_positions_past_the_end_of_a_list_are_not_relevant():
    found = relevance(
        np.array([[2, -1], [-1, -1]], np.int32), np.array([0, 1, 2]), np.array([2, 2], np.int32)
    )
    assert found.tolist() == [[True, False], [False, False]]
