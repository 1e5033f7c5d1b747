"""Reads the log into material, and knows the generation in service. No group: every trainer reads all."""

from collections.abc import Sequence

from streams import topics
from streams.errors import BadRecord
from streams.kafka import BEGINNING, Consumer, Partition
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.messages import ModelPointer, decode_item, decode_model_pointer, decode_user
from streams.settings import TrainerSettings
from streams.trainer.rating_log import RatingLog, Watermarks

POLL_S = 0.2


class Source:
    """Reads `ratings`, `users`, `items` and `models` from the beginning, and on."""

    def __init__(self, settings: TrainerSettings) -> None:
        self.log = RatingLog()
        self.in_service: ModelPointer | None = None
        self._ratings, self._users, self._items, self._models = (
            settings.topic(topic.name)
            for topic in (topics.RATINGS, topics.USERS, topics.ITEMS, topics.MODELS)
        )
        self._partitions = range(settings.partitions)
        self._consumer = Consumer(settings, group=settings.group_of("trainer"), start="earliest")
        self._catch_up = ReplayProgress()
        places = [Partition(self._models, 0)] + [
            Partition(name, partition)
            for name in (self._ratings, self._users, self._items)
            for partition in self._partitions
        ]
        self._catch_up.expect(self._consumer.starts(places), self._consumer.ends(places))
        self._consumer.assign(dict.fromkeys(places, BEGINNING))

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was there at the start has been read."""
        return self._catch_up.is_done()

    def read(self) -> bool:
        """Read what is there; return whether a newer generation came into service."""
        before = self.in_service
        records = self._consumer.poll(POLL_S)
        self.log.add_ratings([record for record in records if record.topic == self._ratings])
        self._describe([record for record in records if record.topic != self._ratings])
        self._catch_up.note({Partition(found.topic, found.partition): found.offset + 1 for found in records})
        return self.in_service is not before

    def positions(self) -> Watermarks:
        """Return the first offset of each partition of `ratings` that was not read."""
        places = [Partition(self._ratings, number) for number in self._partitions]
        return {place.partition: self._consumer.position(place) or 0 for place in places}

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _describe(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                if record.topic == self._users:
                    self.log.add_user(decode_user(record), record.timestamp_ms, record.offset)
                elif record.topic == self._items:
                    self.log.add_item(decode_item(record), record.timestamp_ms, record.offset)
                else:
                    self._take(decode_model_pointer(record))
            except BadRecord:
                continue  # the worker makes a dead letter of it

    def _take(self, pointer: ModelPointer) -> None:
        if self.in_service is None or pointer.generation > self.in_service.generation:
            self.in_service = pointer


def watermarks_of(pointer: ModelPointer | None) -> Watermarks:
    """Return the watermarks of a pointer by partition number."""
    watermarks = {} if pointer is None else pointer.watermarks
    return {int(partition): offset for partition, offset in watermarks.items() if partition.isdecimal()}
