"""Read the log into memory, and follow the model in service.

Every trainer reads all partitions, whether it is the active one or stands by.

The model in service is the newest one that was announced and is in the store. Any record may name an artifact
that exists nowhere; workers pass it over too. Only its number counts: the next generation is beyond it.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from dch.errors import ArtifactError
from streams import artifacts, topics
from streams.errors import BadRecord
from streams.kafka import BEGINNING, Consumer, Partition, Patience
from streams.kafka.added_partitions import AddedPartitions
from streams.kafka.lag import Lag
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.messages import ModelPointer, decode_item, decode_model_pointer, decode_user, is_followed
from streams.settings import TrainerSettings
from streams.trainer.rating_log import RatingLog, Watermarks

log = logging.getLogger("streams.trainer")

POLL_S = 0.2
LAG_INTERVAL_S = 1.0
N_KEPT = 5
LOOK_AGAIN_S = 10.0
"""Time between two looks for the model in service while the store does not have it, or cannot be read."""

MAX_POINTERS = 1000
"""Announced models that may be in service; a pointer has about a kilobyte."""


class Source:
    """Reads `ratings`, `users`, `items` and `models` from the beginning, then follows them."""

    def __init__(
        self,
        settings: TrainerSettings,
        consumer: Consumer | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        self.patience = patience or Patience(settings.broker_patience_s)
        """How long to wait for a broker that is away."""

        self.log = RatingLog()
        self.in_service: ModelPointer | None = None
        self.next_generation = 1
        self.newest_models: deque[ModelPointer] = deque(maxlen=N_KEPT)
        """The last models that were in service, the present one included; oldest first."""

        self._ratings, self._users, self._items, self._models = (
            settings.topic(topic.name)
            for topic in (topics.RATINGS, topics.USERS, topics.ITEMS, topics.MODELS)
        )
        self._partitions = range(settings.partitions)
        self._artifacts, self._key_form = settings.artifacts, settings.key_form
        self._consumer = consumer or Consumer(
            settings, group=settings.group_of("trainer"), start="earliest", patience=self.patience
        )
        self._added = AddedPartitions(settings, self._consumer)
        self._followed: ModelPointer | None = None  # the pointer of ``in_service``, as it was read
        self._announced: list[ModelPointer] = []  # oldest first, those of one generation in their order
        self._must_look, self._looked_at = False, -math.inf
        self._replay = ReplayProgress()
        partitions = [Partition(self._models, 0)] + [
            Partition(name, number)
            for name in (self._ratings, self._users, self._items)
            for number in self._partitions
        ]
        self._replay.begin(self._consumer, dict.fromkeys(partitions, BEGINNING))
        self._assigned, self._lag, self._shown_at = partitions, Lag(settings.prefix), 0.0

    @property
    def is_caught_up(self) -> bool:
        """Whether every record that existed at the start and could be read then was read."""
        return self._replay.is_done()

    def read(self) -> bool:
        """Read the next records; return whether another model is in service."""
        before = self.in_service
        self._added.refuse()
        records = self._consumer.poll(POLL_S)
        self._show_lag(records)
        self.log.add_ratings([record for record in records if record.topic == self._ratings])
        self._add_others([record for record in records if record.topic != self._ratings])
        self._replay.note(self._consumer)
        if self._must_look and self.is_caught_up:
            self._find_in_service()
        return self.in_service is not before

    def _show_lag(self, records: Sequence[Record]) -> None:
        self._lag.note(records)
        if time.monotonic() - self._shown_at > LAG_INTERVAL_S:
            self._lag.show(self._consumer.lag(), self._assigned, time.time_ns() // 1_000_000)
            self._shown_at = time.monotonic()

    def positions(self) -> Watermarks:
        """Return the first unread offset of each partition of `ratings`."""
        partitions = [Partition(self._ratings, number) for number in self._partitions]
        return {found.partition: self._consumer.position(found) or 0 for found in partitions}

    def require_models(self) -> None:
        """Be caught up again only once every pointer that is on `models` now was read."""
        models = Partition(self._models, 0)
        self._replay.expect(
            {models: self._consumer.position(models) or 0}, self._consumer.end_offsets([models])
        )

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _add_others(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                if record.topic == self._users:
                    self.log.add_user(decode_user(record, self._key_form), record.timestamp_ms, record.offset)
                elif record.topic == self._items:
                    self.log.add_item(decode_item(record, self._key_form), record.timestamp_ms, record.offset)
                else:
                    self._add_pointer(decode_model_pointer(record))
            except BadRecord:
                continue  # the worker writes its dead letter

    def _add_pointer(self, pointer: ModelPointer) -> None:
        """Keep a pointer, with its location inside our own store.

        Of two models of one generation, the later one counts, as in the worker.
        """
        try:
            location = artifacts.location_within(self._artifacts, pointer)
            if not is_followed(pointer.generation, self.next_generation - 1):
                raise ArtifactError("no trainer gets to this generation")
        except ArtifactError as error:
            log.warning("model ignored generation=%d reason=%s", pointer.generation, error)
            return
        pointer = msgspec.structs.replace(pointer, location=location)
        self._announced = [found for found in self._announced if found != pointer] + [pointer]
        self._announced.sort(key=lambda found: found.generation)
        del self._announced[:-MAX_POINTERS]
        self.next_generation = self._announced[-1].generation + 1
        self._must_look, self._looked_at = True, -math.inf

    def _find_in_service(self) -> None:
        """Find the newest announced model that can be loaded; if there is none, take the newest one.

        While the store cannot be read, nobody can tell; then the newest one counts, too.
        """
        if time.monotonic() - self._looked_at < LOOK_AGAIN_S:
            return
        self._looked_at, newest = time.monotonic(), self._announced[-1]
        try:
            found = artifacts.newest_held(self._artifacts, self._announced)
        except ArtifactError as error:
            log.warning("the model in service is not known for sure reason=%s", error)
            found = None
        self._must_look = found is None
        if found is not None and found is not newest:
            log.warning(
                "model passed over, it cannot be loaded from the store generation=%d in_service=%d",
                newest.generation,
                found.generation,
            )
        self._set_in_service(found or newest)

    def _set_in_service(self, pointer: ModelPointer) -> None:
        """Follow a pointer. Watermarks beyond the ends of `ratings` would hide all ratings to come."""
        if self._followed == pointer:
            return
        self._followed = pointer
        ends = self._ends()
        bounded = {
            name: {key: min(offset, ends.get(key, 0)) for key, offset in getattr(pointer, name).items()}
            for name in ("watermarks", "counted_from")
        }
        self.in_service = msgspec.structs.replace(pointer, **bounded)
        self.newest_models.append(self.in_service)

    def _ends(self) -> dict[str, int]:
        """Return the end of each partition of `ratings`, by its number as text."""
        partitions = [Partition(self._ratings, number) for number in self._partitions]
        return {str(one.partition): end for one, end in self._consumer.end_offsets(partitions).items()}


def watermarks_of(pointer: ModelPointer | None) -> Watermarks:
    """Return the watermarks of a pointer by partition number."""
    return {} if pointer is None else _by_number(pointer.watermarks)


def counted_from(pointer: ModelPointer | None) -> Watermarks:
    """Return from where ratings count towards the next refit: after a rollback, those that came since."""
    return {} if pointer is None else _by_number(pointer.counted_from or pointer.watermarks)


def _by_number(offsets: Mapping[str, int]) -> Watermarks:
    return {int(partition): offset for partition, offset in offsets.items()}
