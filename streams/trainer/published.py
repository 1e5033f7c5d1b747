"""The models that were published, as the topic ``models`` and the store hold them now."""

from collections.abc import Iterable
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
    """Return the published generations, oldest first. The last one is that which all roles follow.

    Raises:
        BrokerUnavailableError, BrokerRefusedError: as for ``Consumer``.
    """
    patience, models = Patience(settings.broker_timeout_s), Partition(settings.topic(topics.MODELS.name), 0)
    group = f"{settings.prefix}models"
    with closing(Consumer(settings, group=group, start="earliest", fill_s=0, patience=patience)) as consumer:
        return published(read_to_end(consumer, {models: BEGINNING}))


def published(records: Iterable[Record]) -> list[Published]:
    """Return the generations of records of ``models``; of two models of one generation, the later counts.

    What workers and trainers do not follow is left out: malformed records, and generations far ahead.
    """
    found: dict[int, Published] = {}
    for record in records:
        try:
            pointer = decode_model_pointer(record)
        except BadRecord:
            continue  # a worker writes its dead letter
        if is_followed(pointer.generation, max(found, default=-1)):
            found[pointer.generation] = Published(pointer, record.timestamp_ms)
    return [found[generation] for generation in sorted(found)]


def is_stored(settings: TrainerSettings, pointer: ModelPointer) -> bool:
    """Tell whether the store still has the artifact of a pointer.

    Raises:
        StoreError: the store cannot be read.
        ArtifactError: the artifact is outside the store.
    """
    return artifacts.exists(artifacts.location_within(settings.artifacts, pointer))
