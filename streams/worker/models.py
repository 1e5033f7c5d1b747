"""Models of the worker, put into service by *ingest*; ``model_fetcher`` has fetched them.

The first model is served as soon as it is fetched. A later one is swapped in once the item codes of its
generation are there.
"""

import logging
import time
from collections.abc import Callable

import numpy as np

from dch.models.model import Model
from dch.recommender import Recommender
from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams.kafka.outbox import Outbox
from streams.messages import ModelPointer
from streams.metrics import (
    ITEM_CODES_AWAITED,
    MODEL_INFO,
    MODEL_SWAP_DURATION_SECONDS,
    MODEL_TRAINED_TIMESTAMP_SECONDS,
)
from streams.settings import WorkerSettings
from streams.worker.context import FetchedModel
from streams.worker.item_codes import ItemCodeTable
from streams.worker.model_fetcher import is_newer, refuse_older
from streams.worker.prequential import Trials

log = logging.getLogger("streams.worker")

FIRST_REPUBLISH_S, LAST_REPUBLISH_S = 30.0, 600.0
"""The first wait before the item codes of the next generation are published again, and the longest."""


class ModelSwapper:
    """Holds the model in service and the next one. Only the ingest thread uses it."""

    def __init__(
        self,
        settings: WorkerSettings,
        state: State,
        item_codes: ItemCodeTable,
        outbox: Outbox,
        first: FetchedModel,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._state = state
        self._item_codes = item_codes
        self._outbox = outbox
        self._now = now
        self._next: FetchedModel | None = None
        self._republish_at = self._republish_s = 0.0
        self._labels: tuple[str, str, str] | None = None  # of the model in service, in the metrics
        self.trials: Trials
        """The prequential trials of the generation in service."""

        self._set_in_service(first)

    def offer(self, new: FetchedModel) -> None:
        """Make a model the next one to swap in; refuse it unless it is newer than the newest one so far."""
        newest = self._next or self._in_service
        if not is_newer(new.pointer, newest.pointer):
            refuse_older(new.pointer, newest.pointer.generation)
            return
        self._next = new
        self._republish_at, self._republish_s = self._now(), FIRST_REPUBLISH_S
        self._item_codes.expect(new.model)

    def swap_when_ready(self, pause: Callable[[], None] = lambda: None) -> None:
        """Swap in the next model once its item codes are complete. Item histories must be complete.

        Each worker first publishes its own item codes of the next generation. Then it waits for those of the
        other workers, while the current generation stays in service. So no items are missing after a swap.
        It waits as long as they live: the partitions of a worker that is gone get another owner. While it
        waits, it publishes again now and then, because there may be new items that another one waits for.
        ``pause`` is called several times a second; it may raise to give up: then nothing has changed here.
        """
        new = self._next
        if new is None or (self._n_awaited(new) and self._now() < self._republish_at):
            return
        snapshot = self._state.prepare(new.model, pause)
        for part in self._item_codes.changes(snapshot):
            self._outbox.send_all(part)
            pause()
        if n_awaited := self._n_awaited(new):
            self._wait(new, n_awaited)
        else:
            self._swap(new, snapshot)

    def _n_awaited(self, new: FetchedModel) -> int:
        n_awaited = self._item_codes.n_missing(new.model)
        ITEM_CODES_AWAITED.set(n_awaited)
        return n_awaited

    def _wait(self, new: FetchedModel, n_awaited: int) -> None:
        log.log(
            logging.WARNING if self._republish_s > FIRST_REPUBLISH_S else logging.INFO,
            "waiting for item codes of other workers generation=%d missing=%d",
            new.model.generation,
            n_awaited,
        )
        self._republish_at = self._now() + self._republish_s
        self._republish_s = min(2 * self._republish_s, LAST_REPUBLISH_S)

    def _swap(self, new: FetchedModel, snapshot: Snapshot) -> None:
        self._item_codes.complete(snapshot)
        self._state.swap(snapshot)
        MODEL_SWAP_DURATION_SECONDS.observe(self._now() - new.read_at_s)
        self._set_in_service(new)

    def _set_in_service(self, new: FetchedModel) -> None:
        self._in_service, self._next = new, None
        self.trials = Trials(self._settings, new.model, new.pointer.watermarks)
        MODEL_INFO.labels(*(labels := model_labels(new.pointer))).set(1)
        if self._labels not in (None, labels):
            MODEL_INFO.remove(*self._labels)
        self._labels = labels
        MODEL_TRAINED_TIMESTAMP_SECONDS.set(new.pointer.trained_at / 1000)
        log.info(
            "model in service generation=%d location=%s took_s=%.2f",
            new.model.generation,
            new.pointer.location,
            time.monotonic() - new.read_at_s,
        )


def model_labels(pointer: ModelPointer) -> tuple[str, str, str]:
    """Return the values of the labels of ``dch_model_info``."""
    return str(pointer.generation), pointer.generation_hash, pointer.location


def warm_up(model: Model) -> None:
    """Compile or load every kernel before the first record, so that no client waits for the compiler.

    Runs each operation of a worker once, on a recommender that is thrown away.
    """
    recommender = Recommender(model, new_item_share=0.5)
    state = recommender.state
    item = next(iter(model.item_ids), "item")
    name, _, value = next(iter(model.item_tokens), "=").partition("=")
    events = state.events(["a", "b"], [item, "a new item"], [model.positive_from] * 2, [1, 2])
    state.fold_in_items(events)
    state.set_item(item, {name: value})
    state.refresh_items()
    state.fold_in_users(events, np.ones(2, np.bool_))
    state.fold_in_users(events)
    state.compile_trials()
    for strategy in (None, "codes", "popular"):
        for is_explained in (False, True):
            recommender.recommend("a", strategy=strategy, include_rated=True, explain=is_explained)
    recommender.recommend("a stranger")
    recommender.recommend_history([(item, model.positive_from)])
    state.prepare(model)
    state.set_user("a", None, 1)
    state.release_users(["a"])
    state.release_items([item, "a new item"])
