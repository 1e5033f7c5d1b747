"""Print the kernels that what a worker does compiles although it has warmed up, one a line.

Run in a process of its own: in one with other tests, all kernels may be compiled already.
"""

import gc

import numpy as np
from numba.core.registry import CPUDispatcher

from dch.recommender import Recommender
from streams.messages import RecommendRequest
from streams.messages.requests import STRATEGIES, RatedItem
from streams.worker.models import warm_up
from streams.worker.replies import replies_to
from tests.dch.random_models import random_model, random_neighbours


def compiled():
    """Return the kernels of dch with the types that they are compiled for."""
    found = [one for one in gc.get_objects() if isinstance(one, CPUDispatcher)]
    return {
        (one.py_func.__module__, one.py_func.__name__, str(types))
        for one in found
        if one.py_func.__module__.startswith("dch.")
        for types in one.signatures
    }


def work(model):
    """Do what a worker does: fold in, with trials; take features; answer all kinds of requests; swap."""
    recommender = Recommender(model, new_item_share=0.5)
    state = recommender.state
    users = [f"u{at % 5}" for at in range(40)]
    items = [f"i{at % 7}" if at % 3 else "new" for at in range(40)]
    events = state.events(users, items, [5.0, 1.0] * 20, list(range(1, 41)))
    state.fold_in_items(events)
    state.set_item("i1", {"genre": "drama"}, 1)
    state.set_item("newer", {"genre": "drama", "year": 1999.0}, 1)
    state.set_user("u1", {"age": "25"}, 1)
    state.set_user("stranger", {"age": "25", "height": 180.0}, 1)
    state.refresh_items()
    state.fold_in_users(events, np.ones(40, np.bool_))
    state.fold_in_users(state.events(["u1"], ["i1"], [np.nan], [50]))
    rows = state.items_with_code()
    state.put_item_codes(rows, state.item_codes(rows))
    many = add_items(state, 600)  # so that some are far from the user of a trial
    rated = state.events(["u3"] * len(many), many, [5.0] * len(many), list(range(100, 100 + len(many))))
    state.fold_in_users(rated, np.ones(len(many), np.bool_))
    for request in requests():
        (reply,) = replies_to(recommender, [request], 0.0)
        if request.strategy in (None, "codes+rerank"):
            assert hasattr(reply, "items"), reply
    replies_to(recommender, [RecommendRequest(user=f"u{at}") for at in range(5)], 0.0)
    state.newness_and_popularity(["i1", "new"])
    state.swap(state.prepare(model))
    state.refresh_items()
    replies_to(recommender, [RecommendRequest(user="u1")], 0.0)
    state.remove_item_codes(rows[:1])
    state.set_user("u1", None, 60)
    state.release_users(["u2"])
    state.release_items(["i2"])


def add_items(state, n):
    """Serve n items with any codes, as of another worker; return their ids."""
    rng, ids = np.random.default_rng(0), [f"far{at}" for at in range(n)]
    codes = state.item_codes(state.items_with_code()[:1].repeat(n))
    words = rng.integers(2**63, size=codes.words.shape, dtype=np.uint64)
    state.put_item_codes(state.intern_items(ids), codes._replace(words=words))
    return ids


def requests():
    rated = (RatedItem(item="i1", rating=5.0), RatedItem(item="i2", rating=1.0))
    for strategy in (None, *STRATEGIES):
        for explain in (False, True):
            for more in ({}, {"only": ("i1", "i3", "new")}, {"exclude": ("i1",)}, {"include_rated": True}):
                for whom in ({"user": "u1"}, {"user": "stranger"}, {"history": rated}, {"similar_to": "i1"}):
                    yield RecommendRequest(strategy=strategy, explain=explain, k=5, **whom, **more)


if __name__ == "__main__":
    tokens = {"item_tokens": ("genre=drama", "year~1999"), "user_tokens": ("age=25",)}
    models = [random_model(neighbours=random_neighbours()), random_model(**tokens)]
    for one in models:
        warm_up(one)
    before = compiled()
    for one in models:
        work(one)
    for module, name, types in sorted(compiled() - before):
        print(f"{module}.{name}{types}")
