"""Scores by ranking vectors against a product in float64."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dch.config import MAX_VECTOR_SIZE
from dch.search.scores import LARGEST_QUERY, make_scorer, round_query, score_rows

SIZES = st.integers(1, 64)
ELEMENTS = st.just(0.0) | st.floats(-1e3, 1e3, width=32).filter(lambda x: abs(x) > 1e-6)


def scorer_of(vectors, query):
    return make_scorer(np.zeros((len(vectors), 1), np.uint64), vectors, np.zeros(64, np.float32), query)


@given(SIZES, st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_a_score_is_the_product_within_the_rounding_of_the_query(size, n, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-127, 128, (n, size)).astype(np.int8)
    query = rng.normal(0, 3, size).astype(np.float32)
    rows, scores = rng.permutation(n).astype(np.int32), np.empty(n, np.float32)
    score_rows(rows, scorer_of(vectors, query), scores)
    step = np.abs(query).max() / LARGEST_QUERY
    exact = vectors[rows].astype(float) @ query.astype(float)
    assert (np.abs(scores - exact) <= 127 * size * step * 0.51 + 1e-6 * np.abs(exact)).all()


@given(hnp.arrays(np.float32, SIZES, elements=ELEMENTS))
def test_rounding_a_query_keeps_its_largest_element(query):
    rounded = np.empty(len(query), np.int16)
    step = round_query(query, rounded)
    assert np.abs(rounded).max() == (LARGEST_QUERY if query.any() else 0)
    np.testing.assert_allclose(rounded * step, query, atol=0.51 * step)


def test_a_score_does_not_depend_on_the_order_of_elements():
    rng = np.random.default_rng(0)
    vectors, query = rng.integers(-127, 128, (50, 64)).astype(np.int8), rng.normal(size=64).astype(np.float32)
    rows, order = np.arange(50, dtype=np.int32), rng.permutation(64)
    scores, shuffled = np.empty(50, np.float32), np.empty(50, np.float32)
    score_rows(rows, scorer_of(vectors, query), scores)
    score_rows(rows, scorer_of(np.ascontiguousarray(vectors[:, order]), query[order]), shuffled)
    assert scores.tobytes() == shuffled.tobytes()


def test_the_largest_product_of_the_longest_vectors_does_not_overflow():
    vectors = np.full((1, MAX_VECTOR_SIZE), -128, np.int8)
    query, scores = np.full(MAX_VECTOR_SIZE, -1.0, np.float32), np.empty(1, np.float32)
    score_rows(np.zeros(1, np.int32), scorer_of(vectors, query), scores)
    np.testing.assert_allclose(scores, 128.0 * MAX_VECTOR_SIZE, rtol=1e-5)
