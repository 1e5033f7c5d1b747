"""Search against a full sort; codes repeat, so that ties at every level of the order happen in every run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import hamming, weighted_hamming

from dch.errors import CodeShapeError
from dch.models.codes import pack, to_words, unpack
from dch.search import Nearest, nearest, nearest_many, rerank
from dch.search.query_words import make_queries
from dch.search.scan import BLOCK
from dch.search.scores import LARGEST_QUERY, make_scorer

QUARTERS = st.sampled_from([-1.0, -0.5, -0.25, 0.25, 0.5])  # sums of these are exact in any order


class Case:
    """Codes, a query and all optional arguments of a search."""

    def __init__(self, draw):
        self.n = draw(st.integers(0, 60) | st.integers(BLOCK - 2, BLOCK + 2))
        self.bits = 8 * draw(st.integers(1, 32))
        distinct = draw(hnp.arrays(np.float32, (draw(st.integers(1, 5)), self.bits), elements=QUARTERS))
        rng = np.random.default_rng(draw(st.integers(0, 5)))
        self.codes = pack(distinct)[rng.integers(len(distinct), size=self.n)]
        self.relaxed = draw(hnp.arrays(np.float32, self.bits, elements=QUARTERS))
        self.is_weighted = draw(st.booleans())
        self.query = pack(self.relaxed[None])[0]
        self.words = make_queries(self.relaxed[None], is_weighted=self.is_weighted)[0]
        self.total = self.bits * 3 // 2 if self.is_weighted else self.bits
        self.vectors = rng.integers(-3, 4, (self.n, 8)).astype(np.int8)
        self.vector = LARGEST_QUERY * rng.integers(-1, 2, 8).astype(np.float32)  # rounds to itself
        self.popularity = rng.integers(3, size=self.n).astype(np.int32)
        self.eligible = rng.random(self.n) < draw(st.sampled_from([0, 0.1, 0.9]))
        self.skip = rng.integers(max(self.n, 1), size=draw(st.integers(0, 30))).astype(np.int32)
        self.k = draw(st.integers(0, 70))


cases = st.composite(Case)
flags = st.tuples(st.booleans(), st.booleans(), st.booleans())


def by_full_sort(case, use_skip, use_eligible, use_popularity):
    """Return (distance, -popularity, row) of all rows that may be found, in order."""
    distances = np.zeros(0, np.int32)
    if case.n:
        is_weighted, relaxed = case.is_weighted, case.relaxed
        distances = weighted_hamming(case.codes, relaxed) if is_weighted else hamming(case.codes, case.query)
    return sorted(
        (int(distances[row]), -int(case.popularity[row]) if use_popularity else 0, row)
        for row in range(case.n)
        if not (use_skip and row in case.skip) and not (use_eligible and not case.eligible[row])
    )


def finer_scores(case, with_vectors):
    if with_vectors:
        return case.vectors.astype(np.float32) @ case.vector
    return unpack(case.codes, case.bits).astype(np.float32) @ case.relaxed


def scorer_of(case, with_vectors):
    vector = case.vector if with_vectors else case.vector[:0]
    return make_scorer(to_words(case.codes), case.vectors, case.relaxed, vector)


def search(case, use_skip, use_eligible, use_popularity, k=None):
    return nearest(
        to_words(case.codes),
        case.words,
        case.k if k is None else k,
        skip=case.skip if use_skip else None,
        eligible=case.eligible if use_eligible else None,
        popularity=case.popularity if use_popularity else None,
        bits=case.bits,
    )


@given(cases(), flags)
def test_nearest_is_the_head_of_the_full_sort(case, given_flags):
    found = search(case, *given_flags)
    expected = by_full_sort(case, *given_flags)[: case.k]
    assert found.rows.tolist() == [row for *_, row in expected]
    assert found.distances.tolist() == [distance for distance, *_ in expected]
    assert found.scores.tolist() == [case.total - 2 * distance for distance, *_ in expected]


@given(cases(), st.integers(0, 10), st.booleans())
def test_rerank_sorts_the_candidates_by_score(case, k, with_vectors):
    everything = (True, True, True)
    scorer = scorer_of(case, with_vectors)
    found = rerank(search(case, *everything), k, scorer, popularity=case.popularity)
    candidates = by_full_sort(case, *everything)[: case.k]
    scores = finer_scores(case, with_vectors)
    expected = sorted((-scores[row], distance, liked, row) for distance, liked, row in candidates)[:k]
    assert found.rows.tolist() == [row for *_, row in expected]
    np.testing.assert_allclose(found.scores, [-score for score, *_ in expected], rtol=1e-6)
    assert found.distances.tolist() == [distance for _, distance, *_ in expected]


@given(cases(), st.integers(0, 5), st.sampled_from([0, 20]), st.integers(1, 3), st.booleans())
def test_a_batch_finds_what_single_searches_find(case, n_queries, n_candidates, n_threads, with_vectors):
    relaxed = np.array([np.roll(case.relaxed, turn) for turn in range(n_queries)], np.float32)
    relaxed = relaxed.reshape(n_queries, case.bits)
    vectors = np.array([np.roll(case.vector, turn) for turn in range(n_queries)], np.float32)
    vectors = vectors.reshape(n_queries, 8)[:, : 8 * with_vectors]
    skips = [case.skip[turn:] for turn in range(n_queries)]
    words, queries = to_words(case.codes), make_queries(relaxed, is_weighted=case.is_weighted)
    ranked = nearest_many(
        words,
        case.k,
        skip_starts=np.cumsum([0, *map(len, skips)]),
        skip_columns=np.concatenate([case.skip[:0], *skips]),
        eligible=case.eligible,
        popularity=case.popularity,
        relaxed=relaxed,
        item_vectors=case.vectors,
        vectors=vectors,
        n_candidates=n_candidates,
        is_weighted=case.is_weighted,
        n_threads=n_threads,
    )
    options = {"eligible": case.eligible, "popularity": case.popularity}
    for i, row in enumerate(ranked):
        one = nearest(words, queries[i], max(case.k, n_candidates), skip=skips[i], **options)
        if n_candidates:
            scorer = make_scorer(words, case.vectors, relaxed[i], vectors[i])
            one = rerank(one, case.k, scorer, popularity=case.popularity)
        rows = one.rows[: case.k].tolist()
        assert row.tolist() == rows + [-1] * (case.k - len(rows))


def test_rerank_does_not_change_the_candidates():
    columns = np.array([0, 1]), np.array([0, 1]), np.array([2, 1])
    candidates = Nearest(*(column.astype(kind) for column, kind in zip(columns, "iif", strict=True)))
    vectors, words = np.array([[1], [2]], np.int8), np.zeros((2, 1), np.uint64)
    scorer = make_scorer(words, vectors, np.zeros(64, np.float32), np.ones(1, np.float32))
    assert rerank(candidates, 1, scorer).rows.tolist() == [1]
    assert candidates.rows.tolist() == [0, 1]
    assert candidates.scores.tolist() == [2, 1]


def test_arguments_that_do_not_fit_the_codes_are_refused():
    words = np.zeros((5, 2), np.uint64)
    with pytest.raises(CodeShapeError, match="codes have 2 words, but the query has shape \\(1,\\)"):
        nearest(words, np.zeros(1, np.uint64), 3)
    with pytest.raises(CodeShapeError, match="eligible must have one value for each of 5 codes"):
        nearest(words, words[0], 3, eligible=np.ones(4, np.bool_))
