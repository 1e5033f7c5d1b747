"""Fit the model of an evaluation, with the time it takes, and make the state that would serve it."""

import time
from dataclasses import replace
from typing import Protocol

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.state.histories import Events
from dch.state.restore import fold_in_ratings
from dch.state.state import State


class Fit(Protocol):
    """Makes a model: ``default_fit``, or a test double that needs no torch."""

    def __call__(self, ratings: Ratings, config: DchConfig, *, progress: bool = False) -> Model:
        """Return a model fitted to the ratings."""
        ...


def default_fit(ratings: Ratings, config: DchConfig, *, progress: bool = False) -> Model:
    """Fit a model with ``dch.training.fit_model``."""
    from dch.training import fit_model  # here, because importing torch takes seconds

    return fit_model(ratings, config, progress=progress)


def warm_up(fit: Fit, config: DchConfig) -> None:
    """Compile the kernels of a fit with two steps on a few random ratings."""
    rng = np.random.default_rng(0)
    n_users, n_items, n = 80, 60, 2400  # enough users for automatic settings, so that these compile, too
    users, items = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
    ratings = Ratings.from_events(
        [f"u{row}" for row in users],
        [f"i{row}" for row in items],
        rng.integers(1, 6, size=n).astype(np.float32),
    )
    fit(ratings, replace(config, steps=2))


def timed_fit(fit: Fit, ratings: Ratings, config: DchConfig, *, progress: bool) -> tuple[Model, float]:
    """Return the model and the duration of the fit in seconds."""
    start = time.perf_counter()
    model = fit(ratings, config, progress=progress)
    return model, time.perf_counter() - start


def serve(model: Model, ratings: Ratings) -> State:
    """Return the state of a worker that has read these ratings and all features.

    The rows of the state are those of the ratings' id tables.
    """
    state = State(model)
    state.history.user_ids.intern_many(ratings.user_ids.ids())
    state.history.item_ids.intern_many(ratings.item_ids.ids())
    fold_in_ratings(state, ratings)
    return state


def events_of(state: State, ratings: Ratings) -> Events:
    """Return ratings as events of a state that ``serve`` made from ratings with the same id tables."""
    offsets = state.next_offsets(len(ratings))
    return Events(ratings.users, ratings.items, ratings.values, ratings.timestamps, offsets)
