"""The fetcher of a worker: loads the models that pointers on `models` name, from the artifact store.

A model that the store does not give is tried again until it does, or until a newer one is announced. An
earlier one is not taken instead: other workers may serve the announced one already. But any record may name
an artifact that exists nowhere. So a model is passed over if the store can be read and holds other artifacts
but not this one, and if no worker has published item codes of it. Then the next one of those announced
counts. One that was passed over is looked for again every ten minutes, and is waited for as before as soon as
another worker publishes codes of it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress

from dch.errors import ArtifactError
from dch.models.model import Model
from streams import artifacts
from streams.artifacts import StoreError
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages import ItemCode, ModelPointer, decode_model_pointer, is_followed
from streams.metrics import MODEL_LOAD_FAILURES, MODELS_REFUSED
from streams.worker.context import AwaitedModel, FetchedModel, WorkerContext

log = logging.getLogger("streams.worker")

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 10.0
"""The first wait before another attempt to load a model from a failing store, and the longest."""

MISSING_SHARE, FIRST_MISSING_SHARE = 0.5, 0.1
"""Share of ``model_load_timeout_s`` after which a missing artifact is passed over: when all of it is over,
the worker is not ready. And the share at the start, when the worker has no model to serve yet."""

LOOK_AGAIN_S = 600.0
"""Time between two looks for the models that were passed over."""

MAX_PENDING = 1000
"""Announced models that are kept until a newer one is loaded; a pointer has about a kilobyte."""

MAX_ELSEWHERE = 64
"""Models that other workers have and this one does not, as item codes tell; only the last ones are kept."""

ModelKey = tuple[int, str]
"""Generation and hash."""


@dataclass(eq=False)
class Announced:
    """A model that a pointer names, and that was not loaded yet."""

    pointer: ModelPointer
    since_s: float
    """When its pointer was read, or when it was last taken back."""

    is_passed_over: bool = False

    @property
    def key(self) -> ModelKey:
        """What tells the model from all others."""
        return self.pointer.generation, self.pointer.generation_hash


class ModelFetcher:
    """Fetches the models that pointers name. Only the tables thread uses it."""

    def __init__(self, context: WorkerContext, *, now: Callable[[], float] = time.monotonic) -> None:
        self._context, self._settings, self._now = context, context.settings, now
        self._pending: list[Announced] = []  # newest last
        self._fetched: ModelPointer | None = None
        self._elsewhere: dict[ModelKey, None] = {}  # models that other workers have, in the order of arrival
        self._retry_at, self._retry_s = 0.0, FIRST_RETRY_S
        self._look_again_at = 0.0

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
        else:
            self._keep(pointer)

    def fetch_newest(self) -> FetchedModel | None:
        """Return the newest announced model, once, if the store gives it; refuse invalid and older models."""
        if not self._pending or self._now() < self._retry_at:
            return None
        if self._now() >= self._look_again_at:
            self._take_back(self._pending)
        for found in reversed(self._pending.copy()):
            if found.is_passed_over:
                continue
            try:
                model = self._fetch(found)
            except StoreError as error:
                if self._pass_over_missing() and found.is_passed_over:
                    continue
                self._retry_later(found.pointer, error)
                return None
            at = self._pending.index(found)
            if model is not None:
                return self._take(at, model)
            del self._pending[at]
        self._context.awaited_model = None
        return None

    def may_be_next(self, code: ItemCode) -> bool:
        """Tell whether an item code may belong to a model that was not fetched yet, and note that model."""
        fetched, key = self._fetched, (code.generation, code.generation_hash)
        if fetched is not None and key[0] <= fetched.generation:
            return key[0] == fetched.generation and key[1] != fetched.generation_hash
        if key not in self._elsewhere:
            self._note_elsewhere(key)
        return True

    def _note_elsewhere(self, key: ModelKey) -> None:
        self._elsewhere[key] = None
        if len(self._elsewhere) > MAX_ELSEWHERE:
            del self._elsewhere[next(iter(self._elsewhere))]
        self._take_back([found for found in self._pending if found.key == key])

    def _take_back(self, models: list[Announced]) -> None:
        """Wait for these models again, if they were passed over; the time counts anew."""
        for found in models:
            if found.is_passed_over:
                found.is_passed_over, found.since_s = False, self._now()
                self._retry_at, self._retry_s = 0.0, FIRST_RETRY_S

    def _keep(self, pointer: ModelPointer) -> None:
        """Add a pointer to those pending, in their order; the same one again is nothing new."""
        known = [found for found in self._pending if found.pointer == pointer]
        for found in known:
            self._pending.remove(found)
        self._pending += known or [Announced(pointer, self._now())]
        self._pending.sort(key=lambda found: found.pointer.generation)  # stable: the later of equal ones last
        if len(self._pending) > MAX_PENDING:
            passed_over = (found for found in self._pending if found.is_passed_over)
            self._pending.remove(next(passed_over, self._pending[0]))
        if not known:
            self._retry_at, self._retry_s = 0.0, FIRST_RETRY_S

    def _newest_generation(self) -> int:
        known = [found.pointer for found in self._pending] + ([self._fetched] if self._fetched else [])
        return max((pointer.generation for pointer in known), default=-1)

    def _take(self, at: int, model: Model) -> FetchedModel:
        """Return a model that was loaded; keep only those announced after it, which were passed over."""
        found, self._pending = self._pending[at], self._pending[at + 1 :]
        self._fetched, self._context.awaited_model = found.pointer, None
        return FetchedModel(model, found.pointer, found.since_s)

    def _fetch(self, found: Announced) -> Model | None:
        """Return the model of a pointer, or None if it is refused for good.

        Raises:
            StoreError: the store fails; try again.
        """
        pointer = found.pointer
        if self._fetched is not None and not is_newer(pointer, self._fetched):
            refuse_older(pointer, self._fetched.generation)
            return None
        try:
            artifacts.location_within(self._settings.artifacts, pointer)
        except StoreError:
            raise
        except ArtifactError as error:
            refuse(pointer, "outside", error)
            return None
        awaited = self._context.awaited_model
        since_s = found.since_s if awaited is None else awaited.since_s
        self._context.awaited_model = AwaitedModel(pointer.generation, since_s)
        return self._load(pointer)

    def _load(self, pointer: ModelPointer) -> Model | None:
        try:
            return artifacts.load_announced(self._settings.artifacts, pointer)
        except StoreError:
            raise
        except ArtifactError as error:
            refuse(pointer, "artifact", error)
            return None

    def _pass_over_missing(self) -> bool:
        """Pass over all models that only their pointers know of, once that was so for long enough."""
        awaited, share = self._context.awaited_model, MISSING_SHARE if self._fetched else FIRST_MISSING_SHARE
        wait_s = share * self._settings.model_load_timeout_s
        if awaited is None or self._now() - awaited.since_s < wait_s:
            return False
        waited_for = [
            one for one in self._pending if not one.is_passed_over and one.key not in self._elsewhere
        ]
        try:
            are_missing = artifacts.are_missing(
                self._settings.artifacts, [found.pointer for found in waited_for]
            )
        except StoreError:
            return False
        gone = list(compress(waited_for, are_missing))
        if gone:
            self._pass_over(gone)
        return bool(gone)

    def _pass_over(self, models: list[Announced]) -> None:
        for found in models:
            found.is_passed_over = True
            MODELS_REFUSED.labels("missing").inc()
        if self._now() >= self._look_again_at:
            self._look_again_at = self._now() + LOOK_AGAIN_S
        log.warning(
            "models passed over n=%d newest_generation=%d reason=not in %s, which holds others; looked for "
            "again in %.0f s",
            len(models),
            models[-1].pointer.generation,
            self._settings.artifacts,
            self._look_again_at - self._now(),
        )

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


def refuse(pointer: ModelPointer, label: str, reason: object) -> None:
    """Log and count a pointer that is not followed."""
    MODELS_REFUSED.labels(label).inc()
    log.warning("model refused generation=%d reason=%s", pointer.generation, reason)


def refuse_older(pointer: ModelPointer, newest: int) -> None:
    """Log and count a pointer whose generation is not newer than the newest one."""
    refuse(pointer, "older", f"not newer than {newest}")
