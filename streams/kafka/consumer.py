"""Read records, as a member of a group or of partitions one names, and commit what was applied.

Only the thread that polls may call any method: a commit from another thread starves behind the poll.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from streams.kafka import offsets
from streams.kafka.config import CONSUMER, CONSUMER_FIXED, Errors, configure, made, text_of, unavailable
from streams.kafka.metadata import wait_for_topics
from streams.kafka.partitions import BEGINNING, END, Partition, Starts, at, partitions_of, record_of
from streams.kafka.records import Record
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")

REBALANCED = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,
)


class Consumer:
    """Read records in batches.

    Args:
        settings: addresses, batch size and waiting time.
        group: the consumer group; offsets are kept under it even without membership.
        start: where to begin when nothing was committed.
        max_records: most records of one poll; None takes the setting.
        fill_s: how long to wait for more once a record is there; None takes the setting, 0 answers at once.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        start: Literal["earliest", "latest"],
        max_records: int | None = None,
        fill_s: float | None = None,
    ) -> None:
        self._settings = settings
        self._max_records = settings.batch_records if max_records is None else max_records
        self._fill_s = settings.batch_wait_s if fill_s is None else fill_s
        self._errors = Errors()
        self._next: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._ours: set[Partition] = set()
        ours = CONSUMER | {"auto.offset.reset": start}
        self._client = made(
            ConfluentConsumer, configure(settings, self._errors, ours, CONSUMER_FIXED | {"group.id": group})
        )

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        on_assign: Callable[[list[Partition]], Starts] = lambda partitions: {},
        on_revoke: Callable[[list[Partition]], None] = lambda partitions: None,
    ) -> None:
        """Join the group. Both calls come from within ``poll``, on the polling thread.

        Args:
            topics: full names.
            on_assign: told of the partitions that are ours now; returns where to begin in them.
            on_revoke: told of those that are not; what was applied may still be committed here.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: no broker answers.
        """
        wait_for_topics(self._client, topics, self._settings, self._errors)

        def assigned(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            places = partitions_of(found)
            starts = on_assign(places)
            self._forget(places)
            self._ours.update(places)
            client.assign([at(place, starts.get(place)) for place in places])

        def revoked(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            on_revoke(partitions_of(found))
            self._forget(partitions_of(found))
            self._ours.difference_update(partitions_of(found))

        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read these partitions, as no member of the group; None begins after the committed offset."""
        self._forget(self._next.keys() - starts.keys())
        self._ours = set(starts)
        self._client.assign([at(place, offset) for place, offset in starts.items()])

    def poll(self, timeout_s: float = 0.2) -> list[Record]:
        """Return the next records; empty when none came within ``timeout_s``.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: the broker refuses us.
        """
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._client.consume(self._max_records - 1, self._fill_s)]
        read = [record_of(message) for message in messages if not self._is_error(message)]
        # A rebalance in mid-poll leaves records of partitions that another member reads again by now.
        records = [record for record in read if (record.topic, record.partition) in self._ours]
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._next |= {Partition(*place): offset for place, offset in ends.items()}
        return records

    def commit(self, *, but: Collection[Partition] = ()) -> None:
        """Commit every record that ``poll`` returned; call it after they were applied.

        A group that rebalanced meanwhile refuses; then the partition's new owner repeats those records.

        Args:
            but: partitions to leave as they are: they are read again from before their committed offset.
        """
        ours = ((place, offset) for place, offset in self._next.items() if place not in but)
        new = {place: offset for place, offset in ours if self._committed.get(place) != offset}
        if not new:
            return
        try:
            self._client.commit(offsets=[at(*pair) for pair in new.items()], asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in REBALANCED:
                raise unavailable(self._settings, self._errors, error) from error
            log.warning("commit refused, records will be repeated reason=%s", text_of(error))
        self._committed |= new

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offset of each partition: the first not applied; 0 where there is none."""
        places = list(partitions)
        return self._once_settled(lambda timeout_s: offsets.committed(self._client, places, timeout_s))

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset after the last record of each partition, as the broker says now."""
        return self._edges(list(partitions), END)

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first record there still is in each partition."""
        return self._edges(list(partitions), BEGINNING)

    def lag(self) -> dict[Partition, int]:
        """Return how many records behind the end each partition that was read from is, as last heard."""
        ends = {
            place: self._client.get_watermark_offsets(TopicPartition(*place), cached=True)[1]
            for place in self._next
        }
        return {place: max(ends[place] - offset, 0) for place, offset in self._next.items()}

    def position(self, place: Partition) -> int | None:
        """Return the offset after the last record that ``poll`` returned; None before the first."""
        return self._next.get(place)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Return no records of these partitions until ``resume``."""
        self._client.pause([at(place) for place in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo ``pause``."""
        self._client.resume([at(place) for place in partitions])

    def close(self) -> None:
        """Leave the group at once, so that the others need not wait for a timeout."""
        self._client.close()

    def _edges(self, places: list[Partition], which: int) -> dict[Partition, int]:
        if not places:
            return {}  # librdkafka calls an empty question invalid
        return self._once_settled(lambda timeout_s: offsets.edges(self._client, places, which, timeout_s))

    def _once_settled(self, ask: Callable[[float], dict[Partition, int]]) -> dict[Partition, int]:
        timeout_s = self._settings.broker_timeout_s
        return offsets.once_settled(lambda: ask(timeout_s), self._settings, self._errors)

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for place in list(partitions):
            self._next.pop(place, None)
            self._committed.pop(place, None)

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            wait_for_topics(self._client, [str(message.topic())], self._settings, self._errors)
        if error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise unavailable(self._settings, self._errors, KafkaException(error))
        self._errors(error)
        return True
