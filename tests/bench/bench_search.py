"""Compare exact search in 1,000,000 random codes on one core with Faiss IndexBinaryFlat.

    python tests/bench/bench_search.py

Runs of the two alternate, so that a busy machine slows both. Both are exact, and their distances are
compared.
"""

import statistics
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import pytest

from dch.search import nearest

sys.path.insert(0, str(Path(__file__).parent))
from record import record

N, K, BATCH, ROUNDS = 1_000_000, 20, 32, 200


def time_ms(call):
    """Return the result of a call and its duration in milliseconds."""
    start = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - start)


def compare(bits, *, batch=1, rounds=ROUNDS, n=N):
    """Return the median milliseconds per query of dch.search and of Faiss."""
    rng = np.random.default_rng(0)
    words = rng.integers(2**64, size=(n, bits // 64), dtype=np.uint64)
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(bits)
    index.add(words.view(np.uint8))
    ours, theirs = [], []
    for _ in range(rounds + 2):
        queries = rng.integers(2**64, size=(batch, bits // 64), dtype=np.uint64)
        found, ours_ms = time_ms(lambda q=queries: [nearest(words, query, K).distances for query in q])
        (distances, _), theirs_ms = time_ms(lambda q=queries: index.search(q.view(np.uint8), K))
        assert np.array_equal(np.stack(found), np.sort(distances, axis=1))
        ours.append(ours_ms / batch)
        theirs.append(theirs_ms / batch)
    return statistics.median(ours[2:]), statistics.median(theirs[2:])  # the first two compile and warm up


@pytest.mark.bench
@pytest.mark.parametrize("bits", [64, 128, 256])
def test_search_beside_faiss(bits):
    main(bits)


def main(bits):
    """Measure single queries and a small batch; print and record both."""
    for batch, rounds in ((1, ROUNDS), (BATCH, ROUNDS // 10)):
        ours, theirs = compare(bits, batch=batch, rounds=rounds)
        name = "search" if batch == 1 else f"search, per query of a batch of {batch}"
        record(f"{name}, top {K}", n=N, bits=bits, median_ms=ours)
        record(f"{name}, top {K}, faiss IndexBinaryFlat", n=N, bits=bits, median_ms=theirs)
        both = f"ours {ours:.3f} ms, faiss {theirs:.3f} ms, ratio {ours / theirs:.2f}"
        print(f"{name}, {N:,} x {bits} bits: {both}")


if __name__ == "__main__":
    for bits_ in (64, 128, 256):
        main(bits_)
