"""Measure lists with and without neighbours, with and without reasons, on one core, in one run.

    python tests/bench/bench_neighbours.py [number of items ...]

The fit knows all items and each has 32 neighbours. Raters and neighbours prefer the same items, with a
density of 1 / sqrt(rank), so that the items of a history of 200 speak for many others, as those of real users
do. All calls of a round alternate; each figure is the median of five rounds, in processor time of the one
thread.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bench_search import SIZES, K, calls_for, medians_ms
from made_catalogue import RATED, USERS, made_model, made_neighbours, made_recommender, preferred
from record import record

from dch.models.neighbours import NO_NEIGHBOURS
from dch.queries import query_user


def lists(n):
    """Return the milliseconds of one list of each kind, of making its query, and how many weights it adds."""
    rng = np.random.default_rng(0)
    model = made_model(n, neighbours=made_neighbours(rng, n))
    recommender = made_recommender(
        n, model=model, draw=lambda: rng.permutation(np.unique(preferred(rng, n, 2 * RATED)))[:RATED]
    )
    state, n_calls = recommender.state, calls_for(n)
    users = [f"u{user}" for user in range(USERS)]
    queries = [query_user(state, user) for user in users]
    explained = [query_user(state, user, explain=True) for user in users]
    plain = replace_neighbours(explained)
    outgoing = np.diff(model.neighbours.starts)
    n_weights = np.mean([outgoing[query.rated.items].sum() for query in queries])
    print(f"{n:>10,} items: {n_weights:,.0f} weights a list, neighbours of {model.neighbours.nbytes:,} bytes")

    def answer(of, strategy=None):
        return lambda at: recommender.answer(of[at % USERS], K, strategy=strategy)

    return medians_ms(
        {
            "list by codes and vectors, history of 200": (answer(queries, "codes+rerank"), n_calls),
            "list with neighbours, history of 200": (answer(queries), n_calls),
            "list with neighbours and reasons, history of 200": (answer(explained), n_calls),
            "list by codes and vectors with reasons, history of 200": (answer(plain), n_calls),
            "query of a user": (lambda at: query_user(state, users[at % USERS]), 50),
            "query of a user with reasons": (
                lambda at: query_user(state, users[at % USERS], explain=True),
                50,
            ),
        }
    )


def replace_neighbours(queries):
    """Return the same queries of a model without neighbours."""
    snapshot = queries[0].snapshot
    without = replace(snapshot, model=replace(snapshot.model, neighbours=NO_NEIGHBOURS))
    return [query._replace(snapshot=without) for query in queries]


def show(n):
    """Measure, print and record lists of a catalogue of n items."""
    for name, median_ms in lists(n).items():
        record(name, n=n, items=n, bits=64, median_ms=median_ms)
        print(f"{n:>10,} items: {name:55} {median_ms:9.4f} ms")


@pytest.mark.bench
@pytest.mark.parametrize("n", SIZES)
def test_lists_with_neighbours_beside_lists_without(n):
    show(n)


if __name__ == "__main__":
    for size in [int(size) for size in sys.argv[1:]] or SIZES:
        show(size)
