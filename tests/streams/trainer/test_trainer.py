"""The trainer on a broker: what it publishes, what it does not, and how it ends."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from streams import artifacts
from streams.messages import decode_model_pointer
from streams.metrics import REFITS
from streams.trainer import serve
from tests.streams.brokers import eventually

pytestmark = [pytest.mark.slow, pytest.mark.broker]


def planted(n_users=60, n_items=40, n=2400, seed=0):
    """Rating events of two kinds of people who like two kinds of items."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
    likes = users % 2 == items % 2
    ratings = np.where(likes, rng.integers(4, 6, size=n), rng.integers(1, 3, size=n))
    return [
        (f"u{u}", f"i{i}", float(r), 1000 + at)
        for at, (u, i, r) in enumerate(zip(users, items, ratings, strict=True))
    ]


@contextmanager
def trainer(settings, **kwargs):
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(serve, settings, stop, **kwargs)
        try:
            yield done
        finally:
            stop.set()
            done.exception(15)


def pointers(world):
    return [decode_model_pointer(record) for record in world.read_all("models")]


def test_a_first_fit_is_published_and_a_refit_follows_new_ratings(world):
    settings = replace(world.settings, refit_ratings=1000, refit_margin=1.0)
    world.rate(*planted())
    with trainer(settings):
        eventually(lambda: len(pointers(world)) == 1, 120, every_s=0.5)
        first = pointers(world)[0]
        assert first.generation == 1
        assert sum(first.watermarks.values()) == 2400
        model = artifacts.load(first.location, first.sha256)
        assert (model.generation, model.bits) == (1, settings.bits)
        world.rate(*planted(seed=1, n=1200))
        eventually(lambda: len(pointers(world)) == 2, 120, every_s=0.5)
        second = pointers(world)[1]
        assert second.generation == 2
        assert sum(second.watermarks.values()) >= 3400
        assert "newest_ndcg@20" in second.metrics
    assert REFITS.labels("published")._value.get() >= 2
