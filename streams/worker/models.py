"""Models of the worker: fetched through their pointers by *tables*, put into service by *ingest*.

The first model is served as soon as it is fetched. A later one is swapped in once the item codes of its
generation are there.
"""

import logging
import time
from collections.abc import Callable

import numpy as np

from dch.errors import ArtifactError
from dch.models.model import Model
from dch.recommender import Recommender
from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams import artifacts
from streams.artifacts import StoreError
from streams.errors import BadRecord
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.messages import ItemCode, ModelPointer, decode_model_pointer, is_followed
from streams.metrics import (
    ITEM_CODES_AWAITED,
    MODEL_INFO,
    MODEL_LOAD_FAILURES,
    MODEL_SWAP_DURATION_SECONDS,
    MODEL_TRAINED_TIMESTAMP_SECONDS,
    MODELS_REFUSED,
)
from streams.settings import WorkerSettings
from streams.worker.context import AwaitedModel, FetchedModel, WorkerContext
from streams.worker.item_codes import ItemCodeTable
from streams.worker.prequential import Trials

log = logging.getLogger("streams.worker")

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 10.0
"""The first wait before another attempt to load a model from a failing store, and the longest."""

FIRST_REPUBLISH_S, LAST_REPUBLISH_S = 30.0, 600.0
"""The first wait before the item codes of the next generation are published again, and the longest."""

MAX_PENDING = 16
"""Announced models kept until the newest of them is loaded."""


class ModelFetcher:
    """Fetches the models that pointers name. Only the tables thread uses it.

    A model that the store does not give is tried again until it does, or until a newer one is announced.
    An earlier one is not taken instead: other workers may serve the announced one already.
    """

    def __init__(self, context: WorkerContext, *, now: Callable[[], float] = time.monotonic) -> None:
        self._context, self._settings, self._now = context, context.settings, now
        self._pending: list[tuple[ModelPointer, float]] = []  # newest last, each with the time it was read
        self._fetched: ModelPointer | None = None
        self._retry_at, self._retry_s = 0.0, FIRST_RETRY_S

    def read(self, record: Record) -> None:
        """Decode a pointer and keep it until the next ``fetch_newest``; refuse one that no trainer follows.

        Raises:
            BadRecord: it is not a pointer.
        """
        try:
            pointer = decode_model_pointer(record)
        except BadRecord:
            MODELS_REFUSED.labels("malformed").inc()
            raise
        if not is_followed(pointer.generation, self._newest_generation()):
            refuse(pointer, "malformed", "no trainer gets to this generation")
            return
        self._pending.append((pointer, self._now()))
        self._pending.sort(key=lambda found: found[0].generation)  # stable: the later of two equal ones last
        del self._pending[:-MAX_PENDING]
        self._retry_at, self._retry_s = 0.0, FIRST_RETRY_S

    def fetch_newest(self) -> FetchedModel | None:
        """Return the newest announced model, once, if the store gives it; refuse invalid and older models."""
        while self._pending and self._now() >= self._retry_at:
            pointer, read_at_s = self._pending[-1]
            try:
                model = self._fetch(pointer, read_at_s)
            except StoreError as error:
                self._retry_later(pointer, error)
                return None
            self._pending.pop()
            if model is not None:
                self._pending.clear()
                self._fetched, self._context.awaited_model = pointer, None
                return FetchedModel(model, pointer, read_at_s)
        if not self._pending:
            self._context.awaited_model = None
        return None

    def may_be_next(self, code: ItemCode) -> bool:
        """Tell whether an item code may belong to a model that was not fetched yet."""
        fetched = self._fetched
        if fetched is None or code.generation > fetched.generation:
            return True
        return code.generation == fetched.generation and code.generation_hash != fetched.generation_hash

    def _newest_generation(self) -> int:
        known = [pointer for pointer, _ in self._pending] + ([self._fetched] if self._fetched else [])
        return max((pointer.generation for pointer in known), default=-1)

    def _fetch(self, pointer: ModelPointer, read_at_s: float) -> Model | None:
        """Return the model of a pointer, or None if it is refused for good.

        Raises:
            StoreError: the store fails; try again.
        """
        if self._fetched is not None and not is_newer(pointer, self._fetched):
            refuse_older(pointer, self._fetched.generation)
            return None
        try:
            location = artifacts.location_within(self._settings.artifacts, pointer)
        except StoreError:
            raise
        except ArtifactError as error:
            refuse(pointer, "outside", error)
            return None
        awaited = self._context.awaited_model
        since_s = read_at_s if awaited is None else awaited.since_s
        self._context.awaited_model = AwaitedModel(pointer.generation, since_s)
        return self._load(pointer, location)

    def _load(self, pointer: ModelPointer, location: str) -> Model | None:
        try:
            model = artifacts.load(location, pointer.sha256)
            if model.generation != pointer.generation:
                raise ArtifactError(f"{pointer.location} holds generation {model.generation}")
        except StoreError:
            raise
        except ArtifactError as error:
            refuse(pointer, "artifact", error)
            return None
        return model

    def _retry_later(self, pointer: ModelPointer, error: StoreError) -> None:
        MODEL_LOAD_FAILURES.inc()
        log.warning(
            "model not loaded yet generation=%d retry_in_s=%g reason=%s",
            pointer.generation,
            self._retry_s,
            error,
        )
        self._retry_at = self._now() + self._retry_s
        self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)


def is_newer(pointer: ModelPointer, than: ModelPointer) -> bool:
    """Tell whether a pointer that was read later names a newer model.

    Of two models of one generation, the later one counts: compaction keeps only that one for later readers.
    """
    return pointer.generation > than.generation or (
        pointer.generation == than.generation and pointer.sha256 != than.sha256
    )


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


def refuse(pointer: ModelPointer, label: str, reason: object) -> None:
    """Log and count a pointer that is not followed."""
    MODELS_REFUSED.labels(label).inc()
    log.warning("model refused generation=%d reason=%s", pointer.generation, reason)


def refuse_older(pointer: ModelPointer, newest: int) -> None:
    """Log and count a pointer whose generation is not newer than the newest one."""
    refuse(pointer, "older", f"not newer than {newest}")


def warm_up(model: Model) -> None:
    """Compile or load every kernel before the first record, so that no client waits for the compiler.

    Runs each operation of a worker once, on a recommender that is thrown away.
    """
    recommender = Recommender(model)
    state = recommender.state
    item = next(iter(model.item_ids), "item")
    events = state.events(["a", "b"], [item, item], [model.positive_from] * 2, [1, 2])
    state.fold_in_items(events)
    state.refresh_items()
    state.fold_in_users(events, np.ones(2, np.bool_))
    state.fold_in_users(events)
    recommender.recommend("a", include_rated=True)
    recommender.recommend("a", strategy="codes", include_rated=True)
    recommender.recommend("a stranger")
    recommender.recommend_history([(item, model.positive_from)])
    state.prepare(model)
    name, _, value = next(iter(model.item_tokens), "").partition("=")
    state.set_item(item, {name: value})
    state.set_user("a", None, 1)
    state.release_users(["a"])
    state.release_items([item])
