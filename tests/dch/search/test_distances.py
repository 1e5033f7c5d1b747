"""Distances of a block of codes, for every number of words, against the bits that differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import hamming, weighted_hamming

from dch.models.codes import to_words, unpack
from dch.search.distances import (
    block_distances,
    chunk_distances,
    count_below,
    distance_of,
    farthest,
    fits_bytes,
    next_within,
)
from dch.search.instructions import CHUNK
from dch.search.query_words import make_queries

NO_MASK = np.empty(0, np.uint8)


@st.composite
def code_arrays(draw, n):
    width = draw(st.integers(1, 32))
    # three byte values: equal codes, and so ties, in every run
    return draw(hnp.arrays(np.uint8, (draw(n), width), elements=st.sampled_from([0, 1, 255])))


def distances_to(codes, query, allowed=NO_MASK):
    return distances_by(to_words(codes), to_words(query[None])[0], allowed)


def distances_by(words, query, allowed=NO_MASK):
    n_words = words.shape[1]
    distances = np.empty(len(words), np.uint8 if fits_bytes(n_words, len(query)) else np.uint16)
    block_distances(words.reshape(-1), n_words, query, allowed, distances)
    if not len(allowed):
        assert distances.tolist() == [distance_of(word, query) for word in words]
    return distances.tolist()


@given(code_arrays(st.just(3)))
def test_the_distance_is_a_metric(codes):
    to_first, to_second, to_third = (distances_to(codes, query) for query in codes)
    assert to_first[0] == 0
    assert (to_first[1] == 0) == np.array_equal(codes[0], codes[1])
    assert to_first[1] == to_second[0]
    assert to_third[0] <= to_second[0] + to_third[1]


@given(code_arrays(st.integers(1, 5)))
def test_the_distance_is_the_number_of_signs_that_differ(codes):
    signs = unpack(codes, 8 * codes.shape[1])
    expected = (signs != signs[0]).sum(axis=1).tolist()
    assert distances_to(codes, codes[0]) == expected
    assert hamming(codes, codes[0]).tolist() == expected


@given(code_arrays(st.integers(1, 5)), st.data())
def test_the_weighted_distance_is_the_weight_of_the_bits_that_differ(codes, data):
    values = st.sampled_from([-0.5, -0.25, 0.25, 0.5]) | st.floats(-1, 1, width=32)
    relaxed = data.draw(hnp.arrays(np.float32, 8 * codes.shape[1], elements=values))
    (query,) = make_queries(relaxed[None], is_weighted=True)
    expected = weighted_hamming(codes, relaxed).tolist()
    assert distances_by(to_words(codes), query) == expected
    allowed = np.arange(len(codes), dtype=np.uint8) % 2
    masked = distances_by(to_words(codes), query, allowed)
    for is_allowed, distance, without_mask in zip(allowed, masked, expected, strict=True):
        assert distance == without_mask if is_allowed else distance in (255, 65535)


@pytest.mark.parametrize("bits", [8, 64, 72, 128, 136, 192, 256])
def test_the_farthest_code_is_nearer_than_a_row_that_is_not_allowed(bits):
    relaxed = np.linspace(0.1, 0.9, bits, dtype=np.float32)[None]
    for is_weighted in (False, True):
        (query,) = make_queries(relaxed, is_weighted=is_weighted)
        words = to_words(np.zeros((2, bits // 8), np.uint8))
        far, hidden = distances_by(words, query, np.array([1, 0], np.uint8))
        assert far == bits * 3 // 2 if is_weighted else far == bits
        assert far <= farthest(words.shape[1], len(query)) < hidden


@given(code_arrays(st.integers(1, 5)), st.randoms(use_true_random=False))
def test_a_row_that_is_not_allowed_is_farther_than_any_code(codes, random):
    allowed = np.array([random.random() < 0.5 for _ in codes], np.uint8)
    masked, plain = distances_to(codes, codes[0], allowed), distances_to(codes, codes[0])
    for is_allowed, distance, without_mask in zip(allowed, masked, plain, strict=True):
        assert distance == without_mask if is_allowed else distance in (255, 65535)


@given(st.integers(1, 4), st.booleans(), st.integers(1, 5 * CHUNK), st.integers(0, 99))
def test_chunks_with_a_near_code_are_found_and_few_others(n_words, is_weighted, n, seed):
    rng = np.random.default_rng(seed)
    words = rng.integers(2**64, size=(n, n_words), dtype=np.uint64)
    query = rng.integers(2**64, size=n_words * (1 + is_weighted), dtype=np.uint64)
    distances = np.array([distance_of(word, query) for word in words])
    limit, first, found = int(np.partition(distances, n // 50)[n // 50]), 0, []
    while (at := next_within(words.reshape(-1), n_words, query, limit, first)) < n:
        found.append(at)
        first = at + CHUNK
    near = [at for at in range(0, n, CHUNK) if distances[at : at + CHUNK].min() <= limit]
    assert found == (near if n_words <= 2 else list(range(0, n, CHUNK)))
    room = np.empty(CHUNK, np.uint8 if fits_bytes(n_words, len(query)) else np.uint16)
    for at in found:
        chunk_distances(words.reshape(-1), n_words, query, at, room)
        there = distances[at : at + CHUNK].tolist()
        assert room.tolist() == there + [np.iinfo(room.dtype).max] * (CHUNK - len(there))


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), st.integers(0, 70)), st.integers(0, 255))
def test_distances_below_a_limit_are_counted(distances, limit):
    assert count_below(distances, limit) == (distances < limit).sum()
