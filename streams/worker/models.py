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
from streams.errors import BadRecord
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.messages import ModelPointer, decode_model_pointer
from streams.metrics import (
    MODEL_INFO,
    MODEL_SWAP_DURATION_SECONDS,
    MODEL_TRAINED_TIMESTAMP_SECONDS,
    MODELS_REFUSED,
)
from streams.settings import WorkerSettings
from streams.worker.context import FetchedModel
from streams.worker.item_codes import ItemCodeTable
from streams.worker.prequential import Trials

log = logging.getLogger("streams.worker")

ITEM_CODES_TIMEOUT_S = 30.0
"""How long a swap waits for the other workers' item codes of the new generation. A worker that takes longer
is assumed to be down. Its items are then missing from lists until it is back, but an outdated model would be
worse."""


HASH_SHOWN = 12
"""Digits of a checksum that metrics show."""


class ModelFetcher:
    """Fetches the models that pointers name. Only the tables thread uses it."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._pending: list[tuple[ModelPointer, float]] = []  # oldest first, each with the time it was read
        self._newest_generation = -1

    def read(self, record: Record) -> None:
        """Decode a pointer and keep it until the next ``fetch_newest``.

        Raises:
            BadRecord: it is not a pointer.
        """
        try:
            pointer = decode_model_pointer(record)
        except BadRecord:
            MODELS_REFUSED.labels("malformed").inc()
            raise
        self._pending.append((pointer, time.monotonic()))

    def fetch_newest(self) -> FetchedModel | None:
        """Return the newest valid model that is newer than the last one; refuse invalid and older models."""
        pending, self._pending = self._pending, []
        for pointer, read_at_s in reversed(pending):
            if pointer.generation <= self._newest_generation:
                refuse_older(pointer, self._newest_generation)
            elif (model := self._fetch(pointer)) is not None:
                self._newest_generation = pointer.generation
                return FetchedModel(model, pointer, read_at_s)
        return None

    def _fetch(self, pointer: ModelPointer) -> Model | None:
        try:
            location = artifacts.location_within(self._settings.artifacts, pointer)
        except ArtifactError as error:
            refuse(pointer, "outside", error)
            return None
        try:
            model = artifacts.load(location, pointer.sha256)
            if model.generation != pointer.generation:
                raise ArtifactError(f"{pointer.location} holds generation {model.generation}")
        except ArtifactError as error:
            refuse(pointer, "artifact", error)
            return None
        return model


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
        self._published: FetchedModel | None = None  # the next model, once our item codes of it are published
        self._deadline = 0.0
        self._labels: tuple[str, str, str] | None = None  # of the model in service, in the metrics
        self.trials: Trials
        """The prequential trials of the generation in service."""

        self._set_in_service(first)

    def offer(self, new: FetchedModel) -> None:
        """Make a model the next one to swap in; refuse it unless it is newer than the newest one so far."""
        newest = self._next or self._in_service
        if new.pointer.generation <= newest.pointer.generation:
            refuse_older(new.pointer, newest.pointer.generation)
            return
        self._next, self._deadline = new, self._now() + ITEM_CODES_TIMEOUT_S

    def swap_when_ready(self) -> None:
        """Swap in the next model once its item codes are complete. Item histories must be complete.

        Each worker first publishes its own item codes of the next generation. Then it waits for those of the
        other workers, while the current generation stays in service. So no items are missing after a swap.
        """
        new = self._next
        if new is None:
            return
        is_late = self._now() > self._deadline
        if self._is_waiting_for_others(new) and not is_late:
            return
        snapshot = self._state.prepare(new.model)
        self._outbox.send_all(self._item_codes.changes(snapshot))
        n_missing = self._item_codes.n_missing(new.model)
        if n_missing and not is_late:
            self._published = new
            return
        if n_missing:
            log.warning(
                "swap without all item codes generation=%d missing=%d", new.model.generation, n_missing
            )
        self._swap(new, snapshot)

    def _is_waiting_for_others(self, new: FetchedModel) -> bool:
        return self._published is new and self._item_codes.n_missing(new.model) > 0

    def _swap(self, new: FetchedModel, snapshot: Snapshot) -> None:
        self._item_codes.complete(snapshot)
        self._state.swap(snapshot)
        MODEL_SWAP_DURATION_SECONDS.observe(self._now() - new.read_at_s)
        self._set_in_service(new)

    def _set_in_service(self, new: FetchedModel) -> None:
        self._in_service, self._next, self._published = new, None, None
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
    return str(pointer.generation), pointer.sha256[:HASH_SHOWN], pointer.location


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
    recommender.recommend_history([(item, model.positive_from)])
    state.prepare(model)
    state.set_user("a", None, 1)
    state.release_users(["a"])
    state.release_items([item])
