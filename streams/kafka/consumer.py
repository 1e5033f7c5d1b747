"""Read records in batches, as a member of a consumer group or from given partitions, and commit offsets.

A record is *read* when ``poll`` returns it, and *applied* when the caller says so. Only applied records can
be committed, so whatever fails between the two, they are read again. A committed offset never moves back.

Only the polling thread may call any method: a commit from another thread waits behind the poll.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, cast

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
from streams.kafka.positions import Positions
from streams.kafka.records import (
    BEGINNING,
    END,
    Partition,
    Record,
    Starts,
    to_partition,
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
        self._positions = Positions()
        self._assigned: list[TopicPartition] = []  # each with the offset to begin at
        self._is_member = self._was_rebalanced = False
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
            starts = on_assign(partitions := to_partitions(found))
            self._look_up_committed(partitions)
            self._rebalance([to_topic_partition(one, starts.get(one)) for one in partitions])
            client.assign(self._assigned)

        def revoked(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            on_revoke(to_partitions(found))
            self._positions.forget(to_partitions(found))
            self._rebalance([])

        self._is_member = True
        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read the given partitions without group membership; None begins at the committed offset."""
        before = set(to_partitions(self._assigned))
        self._positions.forget(before - starts.keys())
        self._positions.restart(starts)
        self._assigned = [to_topic_partition(partition, offset) for partition, offset in starts.items()]
        self._client.assign(self._assigned)

    def poll(self, timeout_s: float = 0.2) -> list[Record]:
        """Return the next records; an empty list if none arrived within ``timeout_s``.

        It may return early without records: at the end of a partition, and after a rebalance.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: the broker refuses us.
        """
        messages = self._fetch(timeout_s)
        good = [message for message in messages if message.error() is None]
        ends = dict(map(_place, self._drop_errors(messages))) if len(good) < len(messages) else {}
        records = [to_record(message) for message in good]
        last = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._positions.note_read({Partition(*key): offset for key, offset in last.items()})
        self._positions.note_ends(ends)
        self._step_over_markers()
        return records

    def mark_applied(self, *, skip: Collection[Partition] = ()) -> None:
        """Say that every record that ``poll`` has returned was applied, and what follows from it is written.

        Args:
            skip: partitions with records that were not applied yet.
        """
        self._positions.mark_applied(skip)

    def commit(self, *, skip: Collection[Partition] = ()) -> None:
        """Commit the records that were marked as applied, where that moves the committed offset forward.

        If the group has rebalanced, the broker refuses the commit and the new owner repeats the records.

        Args:
            skip: partitions whose committed offset stays as it is.
        """
        self._look_up_committed(self._positions.to_commit(skip))
        if not (changed := self._positions.to_commit(skip)):
            return
        try:
            found = [to_topic_partition(partition, offset) for partition, offset in changed.items()]
            self._client.commit(offsets=found, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in REBALANCED:
                raise broker_error(self._settings, self._last_error, error) from error
            log.warning("commit refused, records will be read again reason=%s", error_text(error))
        self._positions.note_committed(changed)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offset of each partition, which is the first unapplied one; 0 if none."""
        found = list(partitions)
        found_offsets = self._retry(
            lambda timeout_s: offset_queries.committed_offsets(self._client, found, timeout_s)
        )
        self._positions.note_committed(found_offsets)
        return found_offsets

    def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Look up the offset after the last record of each partition at the broker."""
        return self._look_up(list(partitions), END)

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""
        return self._look_up(list(partitions), BEGINNING)

    def lag(self) -> dict[Partition, int]:
        """Return the number of unread records of each partition read so far, by the last fetched end.

        At the end it is 0, even if records of an open transaction follow: nobody may read them yet.
        """
        return {
            one: 0 if self._positions.is_at_end(one) else max(self._last_fetched_end(one) - offset, 0)
            for one, offset in self._positions.read.items()
        }

    def position(self, partition: Partition) -> int | None:
        """Return the first unread offset; None before the first record or end since the assignment.

        It is beyond the last record that ``poll`` returned where a transaction marker, or records that were
        compacted away, lie in between.
        """
        return self._positions.read.get(partition)

    def has_ended(self, partition: Partition) -> bool:
        """Tell whether the end of a partition was read since its assignment, whatever came after."""
        return self._positions.has_ended(partition)

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
        return offset_queries.retry_until_ready(request, self._settings, self._last_error)

    def _last_fetched_end(self, partition: Partition) -> int:
        return int(self._client.get_watermark_offsets(TopicPartition(*partition), cached=True)[1])

    def _rebalance(self, assigned: list[TopicPartition]) -> None:
        self._assigned, self._was_rebalanced = assigned, True
        self._positions.restart(to_partitions(assigned))

    def _fetch(self, timeout_s: float) -> list[Message]:
        """Return the next messages of the present assignment.

        A rebalance within ``consume`` leaves messages from before it in the batch. None of them was applied.
        So all are dropped, and those of partitions that are still ours are read again.
        """
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        self._was_rebalanced = False
        messages = [first, *self._client.consume(self._max_records - 1, self._fill_s)]
        if not self._was_rebalanced:
            return messages
        if self._assigned:
            self._client.assign(self._assigned)
        return []

    def _step_over_markers(self) -> None:
        """Ask the client for its positions, which are beyond the markers of transactions.

        Right after an assignment they may still be those of the one before. So only partitions of which
        something was read since then are asked for.
        """
        if known := [TopicPartition(*partition) for partition in self._positions.read]:
            self._positions.note_steps(
                {to_partition(one): one.offset for one in self._client.position(known)}
            )

    def _look_up_committed(self, partitions: Iterable[Partition]) -> None:
        """Learn the committed offsets, below which nothing is committed.

        A member of the group needs this once for each assignment: nobody else can commit. Without membership
        another process may have committed in the meantime.
        """
        known = self._positions.has_committed if self._is_member else lambda partition: False
        if unknown := [one for one in partitions if not known(one)]:
            self.committed(unknown)

    def _drop_errors(self, messages: Iterable[Message]) -> list[Message]:
        """Return the messages that tell the end of a partition; report errors."""
        found = [(message, error) for message in messages if (error := message.error()) is not None]
        for message, error in found:
            if error.code() != KafkaError._PARTITION_EOF:
                self._report(message, error)
        return [message for message, error in found if error.code() == KafkaError._PARTITION_EOF]

    def _report(self, message: Message, error: KafkaError) -> None:
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            wait_for_topics(self._client, [str(message.topic())], self._settings, self._last_error)
        if error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise broker_error(self._settings, self._last_error, KafkaException(error))
        self._last_error(error)


def _place(message: Message) -> tuple[Partition, int]:
    return Partition(str(message.topic()), cast(int, message.partition())), cast(int, message.offset())
