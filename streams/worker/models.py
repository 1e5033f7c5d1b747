"""Generations: when the model that was fetched goes into service, and what must be there before."""

import logging
import time
from collections.abc import Callable

from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams.kafka.records import Output
from streams.messages import ModelPointer
from streams.metrics import (
    MODEL_INFO,
    MODEL_SWAP_DURATION_SECONDS,
    MODEL_TRAINED_TIMESTAMP_SECONDS,
    MODELS_REFUSED,
)
from streams.settings import WorkerSettings
from streams.worker.context import NewModel
from streams.worker.item_codes import ItemCodes
from streams.worker.prequential import Trials

log = logging.getLogger("streams.worker")

OTHERS_S = 30.0
"""How long a swap waits for the other workers' item codes of the new generation. Past that a worker is down:
its items are missing from lists until it is back, which is better than an old model for ever."""


class Generations:
    """The generation in service and the next one. Only the ingest thread uses it."""

    def __init__(
        self,
        settings: WorkerSettings,
        state: State,
        items: ItemCodes,
        first: NewModel,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._state = state
        self._items = items
        self._now = now
        self._next: NewModel | None = None
        self._announced: NewModel | None = None
        self._wait_until = 0.0
        self._in_service(first)

    def offer(self, new: NewModel) -> None:
        """Put a model into service when possible; one that is not newer is refused."""
        waiting = self._next or self._current
        if new.pointer.generation <= waiting.pointer.generation:
            refuse_older(new.pointer, waiting.pointer.generation)
            return
        self._next, self._wait_until = new, self._now() + OTHERS_S

    def step(self, send: Callable[[list[Output]], None]) -> None:
        """Swap to the next generation once all item codes are there. Call it with complete histories only.

        Each worker publishes its item codes of the next generation first and waits for those of the others
        while it goes on serving; so no list ever lacks the items of another worker.
        """
        new = self._next
        if new is None:
            return
        is_late = self._now() > self._wait_until
        if self._is_waiting(new) and not is_late:
            return
        snapshot = self._state.prepare(new.model)
        send(self._items.changes(snapshot))
        missing = self._items.n_missing(new.model)
        if missing and not is_late:
            self._announced = new
            return
        if missing:
            log.warning(
                "swap without some items' codes generation=%d missing=%d", new.model.generation, missing
            )
        self._swap(new, snapshot)

    def _is_waiting(self, new: NewModel) -> bool:
        """Say whether our codes were announced already, and others' are still to come."""
        return self._announced is new and self._items.n_missing(new.model) > 0

    def _swap(self, new: NewModel, snapshot: Snapshot) -> None:
        self._items.complete(snapshot)
        self._state.swap(snapshot)
        MODEL_SWAP_DURATION_SECONDS.observe(self._now() - new.read_at_s)
        self._in_service(new)

    def _in_service(self, new: NewModel) -> None:
        self._current, self._next, self._announced = new, None, None
        self.trials = Trials(self._settings, new.model, new.pointer.watermarks)
        MODEL_INFO.clear()
        MODEL_INFO.labels(str(new.model.generation)).set(1)
        MODEL_TRAINED_TIMESTAMP_SECONDS.set(new.pointer.trained_at / 1000)
        log.info(
            "model in service generation=%d location=%s took_s=%.2f",
            new.model.generation,
            new.pointer.location,
            time.monotonic() - new.read_at_s,
        )


def refuse_older(pointer: ModelPointer, current: int) -> None:
    """Log and count a pointer that leads back."""
    MODELS_REFUSED.labels("older").inc()
    log.warning("model refused generation=%d reason=not newer than %d", pointer.generation, current)
