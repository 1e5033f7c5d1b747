"""The rank of a row against the list that a search builds, and how few codes most ranks compare."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.models.codes import pack, to_words
from dch.search import CANDIDATES, nearest, rerank
from dch.search.list_rank import LOOK_AHEAD, OUTSIDE, list_rank
from dch.search.query_words import make_queries
from dch.search.scan import BLOCK, MAX_RUNS, RUN, no_work
from dch.search.scores import make_scorer

NOTHING = np.empty(0, np.int32)


def catalogue(n, bits, vector_size, n_distinct, seed):
    """Columns of n items; codes, popularity and vectors repeat, so that there are ties of every kind."""
    rng = np.random.default_rng(seed)
    codes = pack(rng.normal(size=(n_distinct, bits)))[rng.integers(n_distinct, size=n)]
    vectors = rng.integers(-1, 2, (n, vector_size)).astype(np.int8)
    popularity = rng.integers(0, 5, n).astype(np.int64)
    allowed = (rng.random(n) < 0.9).astype(np.uint8)
    return to_words(codes), vectors, allowed, popularity, rng


@given(
    st.sampled_from([1, 150, 400, 3 * BLOCK]),
    st.sampled_from([8, 64, 128, 256]),
    st.sampled_from([0, 2]),
    st.sampled_from([3, 50, 5000]),
    st.booleans(),
    st.integers(0, 300),
    st.integers(0, 2**32 - 1),
)
def test_a_rank_is_the_position_in_the_list(n, bits, vector_size, n_distinct, is_weighted, n_skipped, seed):
    words, vectors, allowed, popularity, rng = catalogue(n, bits, vector_size, n_distinct, seed)
    relaxed, vector = rng.normal(size=(2, bits)).astype(np.float32)
    vector = vector[:vector_size]
    skip = np.unique(rng.integers(0, n + 5, n_skipped)).astype(np.int32)
    found = nearest(
        words,
        make_queries(relaxed[None], is_weighted=is_weighted)[0],
        CANDIDATES,
        skip=skip,
        eligible=allowed > 0,
        popularity=popularity,
    )
    scorer = make_scorer(words, vectors, relaxed, vector)
    listed = rerank(found, CANDIDATES, scorer, popularity=popularity).rows.tolist()
    tried = listed[:3] + listed[-3:] + rng.integers(0, n, 6).tolist()
    for row in tried:
        if allowed[row] and row not in skip:
            columns = (words, vectors, allowed, popularity, relaxed, vector, is_weighted, skip)
            rank = list_rank(*columns, row, no_work())
            assert rank == (listed.index(row) if row in listed else OUTSIDE)


def test_a_row_that_is_far_away_is_known_to_be_outside_after_a_few_blocks():
    n = 200_000
    words, vectors, _, popularity, rng = catalogue(n, 64, 8, n, 0)
    relaxed = rng.normal(size=64).astype(np.float32)
    distances = np.bitwise_count(words ^ to_words(pack(relaxed[None]))[0])[:, 0]
    order, work = np.argsort(distances, kind="stable"), no_work()
    columns = (words, vectors, np.ones(n, np.uint8), popularity, relaxed, relaxed[:8], False)
    assert list_rank(*columns, NOTHING, order[n // 2], work) == OUTSIDE
    assert work.compared[0] == BLOCK
    skip = np.sort(order[:400]).astype(np.int32)  # the rows that a user has rated count as nothing
    assert list_rank(*columns, skip, order[n // 2], work) == OUTSIDE
    assert work.compared[0] <= 4 * BLOCK
    near = no_work()
    assert list_rank(*columns, NOTHING, order[0], near) < CANDIDATES
    assert near.compared[0] <= n + (LOOK_AHEAD + 1) * BLOCK + MAX_RUNS * RUN  # all codes once
