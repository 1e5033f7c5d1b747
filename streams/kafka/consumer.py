"""Read records in batches, as a member of a consumer group or from given partitions, and commit offsets.

Only the polling thread may call any method: a commit from another thread waits behind the poll.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from streams.kafka import offset_queries
from streams.kafka.admin import wait_for_topics
from streams.kafka.config import (
    CONSUMER_DEFAULTS,
    CONSUMER_REQUIRED,
    LastError,
    broker_error,
    client_config,
    create_client,
    error_text,
)
from streams.kafka.records import (
    BEGINNING,
    END,
    Partition,
    Record,
    Starts,
    to_partitions,
    to_record,
    to_topic_partition,
)
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")

REBALANCED = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,
)
"""Error codes of a commit after the group has rebalanced."""


class Consumer:
    """Read records in batches.

    Args:
        settings: broker addresses, batch size and waiting time.
        group: the consumer group; offsets are committed under it even without membership.
        start: where to begin if the group has no committed offset.
        max_records: largest batch of one poll; None takes the setting.
        fill_s: seconds to wait for more records after the first; None takes the setting, 0 does not wait.
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
        self._last_error = LastError()
        self._positions: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._assigned: set[Partition] = set()
        config = client_config(
            settings,
            self._last_error,
            CONSUMER_DEFAULTS | {"auto.offset.reset": start},
            CONSUMER_REQUIRED | {"group.id": group},
        )
        self._client = create_client(ConfluentConsumer, config)

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        on_assign: Callable[[list[Partition]], Starts] = lambda partitions: {},
        on_revoke: Callable[[list[Partition]], None] = lambda partitions: None,
    ) -> None:
        """Join the consumer group. ``poll`` calls both callbacks, on the polling thread.

        Args:
            topics: full names.
            on_assign: called with the newly assigned partitions; returns where to begin in them.
            on_revoke: called with the revoked partitions; it may still commit applied records.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: no broker answers.
        """
        wait_for_topics(self._client, topics, self._settings, self._last_error)

        def assigned(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            partitions = to_partitions(found)
            starts = on_assign(partitions)
            self._forget(partitions)
            self._assigned.update(partitions)
            client.assign([to_topic_partition(partition, starts.get(partition)) for partition in partitions])

        def revoked(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            on_revoke(to_partitions(found))
            self._forget(to_partitions(found))
            self._assigned.difference_update(to_partitions(found))

        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read the given partitions without group membership; None begins at the committed offset."""
        self._forget(self._positions.keys() - starts.keys())
        self._assigned = set(starts)
        self._client.assign([to_topic_partition(partition, offset) for partition, offset in starts.items()])

    def poll(self, timeout_s: float = 0.2) -> list[Record]:
        """Return the next records; an empty list if none arrived within ``timeout_s``.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: the broker refuses us.
        """
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._client.consume(self._max_records - 1, self._fill_s)]
        read = [to_record(message) for message in messages if not self._is_error(message)]
        # After a rebalance during the poll, another member already reads the partitions we lost.
        records = [record for record in read if (record.topic, record.partition) in self._assigned]
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._positions |= {Partition(*key): offset for key, offset in ends.items()}
        return records

    def commit(self, *, skip: Collection[Partition] = ()) -> None:
        """Commit every record that ``poll`` has returned. Call it after those records were applied.

        If the group has rebalanced, the broker refuses the commit and the new owner repeats the records.

        Args:
            skip: partitions whose committed offset stays as it is.
        """
        positions = ((key, offset) for key, offset in self._positions.items() if key not in skip)
        changed = {key: offset for key, offset in positions if self._committed.get(key) != offset}
        if not changed:
            return
        try:
            found = [to_topic_partition(partition, offset) for partition, offset in changed.items()]
            self._client.commit(offsets=found, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in REBALANCED:
                raise broker_error(self._settings, self._last_error, error) from error
            log.warning("commit refused, records will be read again reason=%s", error_text(error))
        self._committed |= changed

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offset of each partition, which is the first unapplied one; 0 if none."""
        found = list(partitions)
        return self._retry(lambda timeout_s: offset_queries.committed_offsets(self._client, found, timeout_s))

    def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Look up the offset after the last record of each partition at the broker."""
        return self._look_up(list(partitions), END)

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""
        return self._look_up(list(partitions), BEGINNING)

    def lag(self) -> dict[Partition, int]:
        """Return the number of unread records of each partition read so far, by the last fetched end."""
        ends = {
            partition: self._client.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]
            for partition in self._positions
        }
        return {partition: max(ends[partition] - offset, 0) for partition, offset in self._positions.items()}

    def position(self, partition: Partition) -> int | None:
        """Return the offset after the last record that ``poll`` returned; None before the first."""
        return self._positions.get(partition)

    def close(self) -> None:
        """Leave the group at once, so that the other members need not wait for the session timeout."""
        self._client.close()

    def _look_up(self, partitions: list[Partition], which: int) -> dict[Partition, int]:
        if not partitions:
            return {}  # librdkafka refuses an empty request
        return self._retry(
            lambda timeout_s: offset_queries.edge_offsets(self._client, partitions, which, timeout_s)
        )

    def _retry(self, request: Callable[[float], dict[Partition, int]]) -> dict[Partition, int]:
        timeout_s = self._settings.broker_timeout_s
        return offset_queries.retry_until_ready(lambda: request(timeout_s), self._settings, self._last_error)

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for partition in list(partitions):
            self._positions.pop(partition, None)
            self._committed.pop(partition, None)

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            wait_for_topics(self._client, [str(message.topic())], self._settings, self._last_error)
        if error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise broker_error(self._settings, self._last_error, KafkaException(error))
        self._last_error(error)
        return True
