"""Pointers to models: which one to take, fetched and checked."""

import logging
import time

from dch.errors import ArtifactError
from dch.models.model import Model
from streams import artifacts
from streams.kafka.records import Record
from streams.messages import ModelPointer, decode_model_pointer
from streams.metrics import MODELS_REFUSED
from streams.settings import WorkerSettings
from streams.worker.context import NewModel
from streams.worker.models import refuse_older

log = logging.getLogger("streams.worker")


class Pointers:
    """Pointers read and not looked at yet, oldest first. Only the tables thread uses it."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._unseen: list[tuple[ModelPointer, float]] = []
        self._newest = -1

    def read(self, record: Record) -> None:
        """Take note of a pointer.

        Raises:
            BadRecord: it is none.
        """
        self._unseen.append((decode_model_pointer(record), time.monotonic()))

    def newest_whole(self) -> NewModel | None:
        """Fetch the newest model that is whole and newer than the last; those that are not are refused."""
        unseen, self._unseen = self._unseen, []
        for pointer, read_at_s in reversed(unseen):
            if pointer.generation <= self._newest:
                refuse_older(pointer, self._newest)
            elif (model := self._fetch(pointer)) is not None:
                self._newest = pointer.generation
                return NewModel(model, pointer, read_at_s)
        return None

    def _fetch(self, pointer: ModelPointer) -> Model | None:
        try:
            model = self._load(pointer)
            if model.generation != pointer.generation:
                raise ArtifactError(f"{pointer.location} holds generation {model.generation}")
        except ArtifactError as error:
            MODELS_REFUSED.labels("artifact").inc()
            log.warning("model refused generation=%d reason=%s", pointer.generation, error)
            return None
        return model

    def _load(self, pointer: ModelPointer) -> Model:
        """Read a model from where the pointer says, or from the same generation in our own store.

        A folder may be mounted elsewhere here than where the trainer runs; the checksum decides.
        """
        try:
            return artifacts.load(pointer.location, pointer.sha256)
        except ArtifactError as error:
            ours = artifacts.location_of(self._settings.artifacts, pointer.generation)
            try:
                return artifacts.load(ours, pointer.sha256)
            except ArtifactError:
                raise error from None
