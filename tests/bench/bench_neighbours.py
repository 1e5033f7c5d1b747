"""Measure lists on one core: as by default beside Faiss, and with and without neighbours and reasons.

    python tests/bench/bench_neighbours.py [number of items ...]

By default: neighbours, and 5% of the positions for new items. One item in 50 is newer than the fit, one in 20
is not available; each item of the fit has 32 neighbours. Faiss searches the same codes, bare. Raters and
neighbours prefer the same items, with a density of 1 / sqrt(rank), so that the items of a history of 200
speak for many others, as those of real users do. All calls of a round alternate; each figure is the median
of five rounds, in processor time of the one thread.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from bench_search import BATCH, SIZES, TRIALS, K, Trials, calls_for, faiss_index, medians_ms
from cases import DEFAULT
from cases import DEFAULT_TOGETHER as TOGETHER
from cases import FAISS_BESIDE_DEFAULT as BESIDE_LISTS
from cases import NEIGHBOURS as WITH
from cases import NO_NEIGHBOURS as WITHOUT
from cases import TRIAL_WITH_NEIGHBOURS as TRIAL
from made_catalogue import RATED, USERS, made_model, made_neighbours, made_recommender, preferred
from record import record

from dch.models.neighbours import NO_NEIGHBOURS
from dch.queries import query_user
from streams.settings import WorkerSettings

SHARE = WorkerSettings().new_item_share


def lists(n):
    """Return the milliseconds of one list of each kind, of making its query, and of a trial."""
    rng = np.random.default_rng(0)
    n_fitted = n - n // 50
    model = made_model(n_fitted, neighbours=made_neighbours(rng, n_fitted))
    recommender = made_recommender(
        n, model=model, draw=lambda: rng.permutation(np.unique(preferred(rng, n_fitted, 2 * RATED)))[:RATED]
    )
    state, n_calls = recommender.state, calls_for(n)
    index = faiss_index(np.ascontiguousarray(state.snapshot.item_index.view().words))
    users = [f"u{user}" for user in range(USERS)]
    queries = [query_user(state, user) for user in users]
    explained = [query_user(state, user, explain=True) for user in users]
    plain = replace_neighbours(explained)
    outgoing = np.diff(model.neighbours.starts)
    n_weights = np.mean([outgoing[query.rated.items].sum() for query in queries])
    print(f"{n:>10,} items: {n_weights:,.0f} weights a list, neighbours of {model.neighbours.nbytes:,} bytes")

    codes = [np.frombuffer(query.code, np.uint8)[None] for query in queries]
    trials = Trials(recommender, n)

    def answer(of, strategy=None, share=0.0):
        return lambda at: recommender.answer(of[at % USERS], K, strategy=strategy, new_item_share=share)

    def answer_together(_):
        asked = [recommender.question(query, K, new_item_share=SHARE) for query in queries[:BATCH]]
        return recommender.answer_all(asked)

    found = medians_ms(
        {
            BESIDE_LISTS: (lambda at: index.search(codes[at % USERS], K), n_calls),
            DEFAULT: (answer(queries, share=SHARE), n_calls),
            TOGETHER: (answer_together, max(1, n_calls // BATCH)),
            WITHOUT: (answer(queries, "codes+rerank"), n_calls),
            WITH: (answer(queries), n_calls),
            "list with neighbours and reasons, history of 200": (answer(explained), n_calls),
            "list by codes and vectors with reasons, history of 200": (answer(plain), n_calls),
            "query of a user": (lambda at: query_user(state, users[at % USERS]), 50),
            "query of a user with reasons": (
                lambda at: query_user(state, users[at % USERS], explain=True),
                50,
            ),
            TRIAL: (trials, 4),
        }
    )
    trials.show_work()
    found[TOGETHER] /= BATCH
    found[TRIAL] /= TRIALS
    return found


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
