"""Compare exact search on one core with Faiss IndexBinaryFlat: bare, and as lists without neighbours.

    python tests/bench/bench_search.py [number of items ...]

Bare: the nearest 20 of random codes, by plain and by weighted distance; Faiss has no weights. As lists of a
model without neighbours: 200 candidates that are reranked by vectors, 5% of the items unavailable, the 200
items that the user has rated skipped, ties by popularity, no positions for new items. All calls of a round
alternate, so that a busy machine slows all of them; each figure is the median of five rounds, in processor
time of the one thread that searches. Distances of bare searches are compared. What lists take with neighbours
and with positions for new items, as by default, is in bench_neighbours.py.
"""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cases import BARE, CHOSEN, ENCODE, POPULAR, SERVED, TOGETHER, TRIAL, WEIGHTED
from cases import BARE_FAISS as FAISS
from cases import FAISS as BESIDE_LISTS
from made_catalogue import FITTED, USERS, made_recommender
from record import record

from dch.models.towers import encode_rows
from dch.queries import query_user
from dch.search import nearest
from dch.search.query_words import make_queries

SIZES = (3_700, 100_000, 1_000_000)
K, BATCH, ROUNDS = 20, 32, 5
TRIALS, LISTED = 16, 200


def medians_ms(cases):
    """Return the median milliseconds per call of each case: a function, and how often a round calls it."""
    found = {name: [] for name in cases}
    for round_ in range(ROUNDS + 1):  # the first compiles and warms up
        for name, (call, n_calls) in cases.items():
            started = time.thread_time()
            for at in range(n_calls):
                call(at)
            if round_:
                found[name].append(1000 * (time.thread_time() - started) / n_calls)
    return {name: statistics.median(values) for name, values in found.items()}


def faiss_index(words):
    """Return Faiss's index of these codes, on one thread."""
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64 * words.shape[1])
    index.add(words.view(np.uint8))
    return index


def bare(n, bits):
    """Return the milliseconds of bare searches of ours and of Faiss, after comparing their distances."""
    rng = np.random.default_rng(0)
    words = rng.integers(2**64, size=(n, bits // 64), dtype=np.uint64)
    relaxed = rng.uniform(-1, 1, size=(8, bits)).astype(np.float32)
    queries, weighted = (make_queries(relaxed, is_weighted=which) for which in (False, True))
    index = faiss_index(words)
    for query in queries:
        expected = np.sort(index.search(query[None].view(np.uint8), K)[0][0])
        assert np.array_equal(nearest(words, query, K).distances, expected)
    for query in weighted:
        code, heavy = np.split(query, 2)
        counted = np.bitwise_count(words ^ code) + np.bitwise_count((words ^ code) & heavy)
        expected = np.sort(counted.sum(axis=1))[:K]
        assert np.array_equal(nearest(words, query, K).distances, expected)
    n_calls = calls_for(n)
    return medians_ms(
        {
            BARE: (lambda at: nearest(words, queries[at % 8], K), n_calls),
            f"{WEIGHTED}{BARE}": (lambda at: nearest(words, weighted[at % 8], K), n_calls),
            FAISS: (lambda at: index.search(queries[at % 8][None].view(np.uint8), K), n_calls),
        }
    )


def served(n):
    """Return the milliseconds of lists as they are served, of trials, and of Faiss's bare search."""
    recommender = made_recommender(n)
    state = recommender.state
    words = np.ascontiguousarray(state.snapshot.item_index.view().words)
    index = faiss_index(words)
    queries = [query_user(state, f"u{user}") for user in range(USERS)]
    codes = [np.frombuffer(query.code, np.uint8)[None] for query in queries]
    only = [f"i{row}" for row in range(0, n, n // 10)][:10]
    head, some = state.snapshot.users.tower.head(), np.arange(USERS, dtype=np.int32)
    bags = state.snapshot.users.bags.whole(some)
    n_calls, trials = calls_for(n), Trials(recommender, n)

    model = replace(recommender.model, settings={"objective": "ranking", "relaxed_users": True})
    snapshot = replace(state.snapshot, model=model)
    weighted = [query._replace(snapshot=snapshot) for query in queries]

    def answer(at, of=queries, **options):
        return recommender.answer(of[at % USERS], K, **options)

    def answer_together(_, of=queries):
        return recommender.answer_all([recommender.question(query, K) for query in of[:BATCH]])

    cases = {
        BESIDE_LISTS: (lambda at: index.search(codes[at % USERS], K), n_calls),
        SERVED: (answer, n_calls),
        f"{WEIGHTED}{SERVED}": (lambda at: answer(at, weighted), n_calls),
        CHOSEN: (lambda at: answer(at, only=only), 50),
        POPULAR: (lambda at: answer(at, strategy="popular"), 50),
        TRIAL: (trials, 20),
        ENCODE: (lambda _: encode_rows(some, *bags[:3], head), 20),
    }
    cases[TOGETHER] = (answer_together, max(1, n_calls // BATCH))
    cases[f"{WEIGHTED}{TOGETHER}"] = (lambda at: answer_together(at, weighted), max(1, n_calls // BATCH))
    found = medians_ms(cases)
    trials.show_work()
    found[ENCODE] /= USERS
    found[TRIAL] /= TRIALS
    for name in (TOGETHER, f"{WEIGHTED}{TOGETHER}"):
        found[name] /= BATCH
    return found


class Trials:
    """Tries and folds in ratings of users who have rated 200 items, and withdraws them again.

    Half of the items are of the user's own list, so that all codes must be searched; the others are any
    items, and most of them are far away.
    """

    def __init__(self, recommender, n):
        self.state, self.n = recommender.state, n
        self.lists = [
            [hit.item for hit in recommender.recommend(f"u{user}", LISTED)] for user in range(USERS)
        ]
        self.n_tried = 0

    def __call__(self, at):
        rng = np.random.default_rng(at)
        users, stamp = rng.choice(USERS, TRIALS, replace=False), 1000 + self.n_tried
        positions = rng.integers(0, LISTED, TRIALS // 2)
        items = [self.lists[user][position] for user, position in zip(users[::2], positions, strict=True)]
        items += [f"i{row}" for row in rng.integers(0, self.n, TRIALS // 2)]
        names = [f"u{user}" for user in (*users[::2], *users[1::2])]
        fold_in, tried = self.state.fold_in_users, np.ones(TRIALS, np.bool_)
        fold_in(self.state.events(names, items, [5.0] * TRIALS, [stamp] * TRIALS), tried)
        fold_in(self.state.events(names, items, [float("nan")] * TRIALS, [stamp + 1] * TRIALS))
        self.n_tried += TRIALS

    def show_work(self):
        """Print how many codes a trial compared."""
        compared = int(self.state.trial_work.compared[0]) / self.n_tried
        print(f"{self.n:>10,} items: a trial compared {compared:,.0f} codes")


def calls_for(n):
    """Return how many searches a round makes: enough to measure, and no more than a second of them."""
    return int(np.clip(20_000_000 // n, 4, 200))


@pytest.mark.bench
@pytest.mark.parametrize("bits", [64, 128, 256])
def test_search_beside_faiss(bits):
    show(bare(1_000_000, bits), 1_000_000, bits)


@pytest.mark.bench
@pytest.mark.parametrize("n", SIZES)
def test_lists_as_served_beside_faiss(n):
    show(served(n), n, 64)


def show(found, n, bits):
    """Print and record the milliseconds of each case, with its ratio to Faiss in the same rounds."""
    for name, median_ms in found.items():
        record(name, n=n, items=n, bits=bits, median_ms=median_ms)
        faiss_ms = found[FAISS if FAISS in found else BESIDE_LISTS]
        ratio = f"{median_ms / faiss_ms:6.2f} x Faiss"
        print(f"{n:>10,} items, {bits} bits: {name:55} {median_ms:9.4f} ms, {ratio}")


def main(sizes):
    """Measure lists as served for each size, and bare searches in the largest."""
    for n in sizes:
        show(served(max(n, FITTED)), n, 64)
    for bits in (64, 128, 256):
        show(bare(max(sizes), bits), max(sizes), bits)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
