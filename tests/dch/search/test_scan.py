"""The work of a scan: which codes it compares, and how few of them it looks at one by one."""

import numpy as np
import pytest

from dch.search.query_words import make_queries
from dch.search.scan import BLOCK, MAX_RUNS, RUN, Criteria, no_work, room_for, scan, sort_kept

N, K = 200_000, 200
NO_ROWS = np.empty(0, np.int32)
SAMPLED = RUN * MAX_RUNS


def scanned(words, queries, size=K, allowed=None):
    """Return the rows kept for each query, nearest first, and the work done."""
    n_queries = len(queries)
    allowed = np.empty(0, np.uint8) if allowed is None else allowed
    criteria = Criteria(
        np.full(n_queries, size), allowed, np.zeros(n_queries + 1, np.int64), NO_ROWS, NO_ROWS
    )
    kept, work = room_for(n_queries, size, len(words)), no_work()
    scan(words, queries, criteria, kept, work)
    sort_kept(kept, NO_ROWS)
    return [rows[:found].tolist() for rows, found in zip(kept.rows, kept.found, strict=True)], work


def by_full_sort(words, query, allowed=None):
    distances = np.bitwise_count(words ^ query).sum(axis=1)
    rows = np.argsort(distances, kind="stable")
    return rows[:K].tolist() if allowed is None else rows[allowed[rows] > 0][:K].tolist()


@pytest.fixture(scope="module")
def words():
    return np.random.default_rng(0).integers(2**64, size=(N, 1), dtype=np.uint64)


def test_a_search_compares_each_code_once_and_looks_at_few_of_them(words):
    (found,), work = scanned(words, words[7:8])
    assert found == by_full_sort(words, words[7])
    assert work.compared[0] == N + SAMPLED
    assert work.offered[0] < 10 * K


def test_weights_add_no_rows_to_look_at(words):
    relaxed = np.random.default_rng(3).normal(size=(1, 64)).astype(np.float32)
    query = make_queries(relaxed, is_weighted=True)
    (found,), work = scanned(words, query)
    code, heavy = query[0]
    distances = np.bitwise_count(words ^ code) + np.bitwise_count((words ^ code) & heavy)
    assert found == np.argsort(distances[:, 0], kind="stable")[:K].tolist()
    assert work.compared[0] == N + SAMPLED
    assert work.offered[0] < 10 * K


def test_a_mask_adds_no_rows_to_look_at(words):
    allowed = (np.arange(N) % 2).astype(np.uint8)
    (found,), work = scanned(words, words[7:8], allowed=allowed)
    assert found == by_full_sort(words, words[7], allowed)
    assert work.compared[0] == N + SAMPLED
    assert work.offered[0] < 10 * K


def test_queries_that_share_a_pass_find_what_each_finds_alone(words):
    queries = words[:32] ^ np.uint64(5)
    together, work = scanned(words, queries)
    assert together == [scanned(words, queries[i : i + 1])[0][0] for i in range(len(queries))]
    assert work.compared[0] == len(queries) * (N + SAMPLED)


def test_a_sample_that_misleads_costs_one_more_pass_and_changes_nothing(words):
    near = words.copy()
    stride = N // MAX_RUNS
    for start in range(0, N, stride):  # the sample meets the query's own code only, the other rows never do
        near[start : start + RUN] = words[7]
    near[stride * MAX_RUNS :] = ~words[7]
    size = (near[:, 0] == words[7, 0]).sum() + 50
    (found,), work = scanned(near, words[7:8], int(size))
    distances = np.bitwise_count(near ^ words[7]).sum(axis=1)
    assert found == np.argsort(distances, kind="stable")[:size].tolist()
    assert work.compared[0] == 2 * N + SAMPLED


def test_a_few_codes_are_not_sampled_but_all_counted():
    words = np.random.default_rng(1).integers(2**64, size=(3_700, 1), dtype=np.uint64)
    (found,), work = scanned(words, words[:1])
    assert found == by_full_sort(words, words[0])
    assert work.compared[0] == 2 * len(words)
    assert work.offered[0] < 2 * K


@pytest.mark.parametrize("n_words", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 50, 3_000])
@pytest.mark.parametrize("has_popularity", [False, True])
def test_more_ties_than_there_is_room_for_are_those_of_a_full_sort(n_words, size, has_popularity):
    rng, n = np.random.default_rng(size), 5 * BLOCK + 9
    words = rng.integers(2**64, size=(3, n_words), dtype=np.uint64)[rng.integers(3, size=n)]
    popularity = rng.integers(0, 9, n if has_popularity else 0)
    allowed, skip = (rng.random(n) < 0.9).astype(np.uint8), np.arange(0, n, 7, dtype=np.int32)
    criteria = Criteria(np.array([size]), allowed, np.array([0, len(skip)]), skip, popularity)
    kept = room_for(1, size, n)
    assert kept.rows.shape[1] < n
    scan(words, words[:1], criteria, kept, no_work())
    found = kept.rows[0, : kept.found[0]].copy()
    assert (np.diff(found) > 0).all()
    distances = np.bitwise_count(words ^ words[0]).sum(axis=1)
    ties = -popularity if has_popularity else np.zeros(n)
    order = [row for row in np.lexsort((ties, distances)) if allowed[row] and row % 7]
    sort_kept(kept, popularity)
    assert kept.rows[0, : kept.found[0]].tolist() == order[:size]
    assert kept.distances[0, : kept.found[0]].tolist() == distances[order[:size]].tolist()
