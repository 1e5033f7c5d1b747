"""The models that were published, as the topic ``models`` and the store hold them now."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from streams import artifacts, topics
from streams.errors import BadRecord
from streams.kafka import BEGINNING, Consumer, Partition, Patience
from streams.kafka.records import Record
from streams.kafka.replay import read_to_end
from streams.messages import ModelPointer, decode_model_pointer, is_followed
from streams.settings import TrainerSettings


@dataclass(frozen=True)
class Published:
    """One generation: its pointer, and when that was written."""

    pointer: ModelPointer
    published_at: int
    """Milliseconds since 1970."""

    @property
    def original(self) -> int:
        """The generation that a trainer fitted: for a rollback, that of which it is a copy."""
        copied = self.pointer.rolled_back_to
        return self.pointer.generation if copied is None else copied


def read_published(settings: TrainerSettings) -> list[Published]:
    """Return the published models in the order of their generations; ``in_service`` finds that in service.

    Raises:
        BrokerUnavailableError, BrokerRefusedError: as for ``Consumer``.
    """
    patience, models = Patience(settings.broker_timeout_s), Partition(settings.topic(topics.MODELS.name), 0)
    group = f"{settings.prefix}models"
    with closing(Consumer(settings, group=group, start="earliest", fill_s=0, patience=patience)) as consumer:
        return published(read_to_end(consumer, {models: BEGINNING}))


def published(records: Iterable[Record]) -> list[Published]:
    """Return the models of records of ``models``; of two models of one generation, the later one comes later.

    Malformed records and generations far ahead are left out: no role keeps them. A model that was announced
    twice counts as announced the second time.
    """
    found: dict[tuple[int, str, str], Published] = {}
    newest = -1
    for record in records:
        try:
            pointer = decode_model_pointer(record)
        except BadRecord:
            continue  # a worker writes its dead letter
        if is_followed(pointer.generation, newest):
            newest = max(newest, pointer.generation)
            key = pointer.generation, pointer.sha256, pointer.location
            found.pop(key, None)
            found[key] = Published(pointer, record.timestamp_ms)
    return sorted(found.values(), key=lambda one: one.pointer.generation)


def in_service(settings: TrainerSettings, history: Sequence[Published]) -> Published | None:
    """Return the published model that roles follow: the newest one that can be loaded; None without one.

    A pointer proves nothing: its artifact may be outside the store, removed, corrupt, of another generation,
    or never have been there.

    Raises:
        StoreError: the store cannot be read.
    """
    found = artifacts.newest_held(settings.artifacts, [one.pointer for one in history])
    return next((one for one in history if one.pointer is found), None)


def is_outside(settings: TrainerSettings, pointer: ModelPointer) -> bool:
    """Tell whether a pointer names an artifact outside the store, which no role loads.

    Raises:
        StoreError: the store cannot be opened.
    """
    return artifacts.folder_within(settings.artifacts, pointer) is None


def is_loadable(settings: TrainerSettings, pointer: ModelPointer) -> bool:
    """Tell whether roles can load the model of a pointer.

    Raises:
        StoreError: the store cannot be read.
    """
    return artifacts.is_loadable(settings.artifacts, pointer)


def is_stored(settings: TrainerSettings, pointer: ModelPointer) -> bool:
    """Tell whether the store has an artifact where a pointer says; it may be corrupt.

    Raises:
        StoreError: the store cannot be read.
    """
    if is_outside(settings, pointer):
        return False
    return artifacts.exists(artifacts.location_within(settings.artifacts, pointer))
