"""Read records in batches, as a member of a consumer group or from given partitions, and commit offsets.

A record is *read* when ``poll`` returns it, and *applied* when the caller says so. Only applied records can
be committed, so whatever fails between the two, they are read again.

Only the polling thread may call any method: a commit from another thread waits behind the poll.
"""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from confluent_kafka import KafkaException, TopicPartition

from streams.errors import BrokerUnavailableError
from streams.kafka.admin import wait_for_topics
from streams.kafka.batches import Batches
from streams.kafka.broker_errors import error_text
from streams.kafka.commits import Commits
from streams.kafka.config import consumer_config
from streams.kafka.end_offsets import EndOffsets
from streams.kafka.lag import Unread, unread_records
from streams.kafka.lasting_client import LastingClient
from streams.kafka.lookups import Lookups
from streams.kafka.patience import Patience
from streams.kafka.positions import NONE_WAITING
from streams.kafka.problems import Problems
from streams.kafka.records import (
    Partition,
    Record,
    Starts,
    to_partitions,
    to_topic_partition,
)
from streams.settings import KafkaSettings
from streams.settings.fixed_values import CONSUMER_FIXED

log = logging.getLogger("streams.kafka")


class Consumer:
    """Read records in batches.

    Args:
        settings: broker addresses, batch size and waiting time.
        group: the consumer group; offsets are committed under it even without membership.
        start: where to begin if the group has no committed offset.
        max_records: largest batch of one poll; None takes the setting.
        fill_s: seconds to wait for more records after the first; None takes the setting, 0 does not wait.
        patience: how long to wait for a broker that is away; None is ``broker_patience_s``.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        start: Literal["earliest", "latest"],
        max_records: int | None = None,
        fill_s: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._group = group
        self._patience = patience or Patience(settings.broker_patience_s)
        self._problems = Problems(settings, self._patience.suspect)
        self._is_revoking = False
        own, fixed = {"auto.offset.reset": start}, {**CONSUMER_FIXED, "group.id": group}
        config = consumer_config(settings, self._problems, own, fixed)
        self._client = LastingClient(config, self._patience)
        self._positions = self._client.positions
        self._commits = Commits(self._client, self._positions, self._patience, self._problems, group)
        self._lookups = Lookups(self._client, self._commits, self._patience, self._problems, self._serve)
        self._batches = Batches(
            self._client,
            self._commits.right,
            self._patience,
            self._problems,
            max_records=settings.batch_records if max_records is None else max_records,
            fill_s=settings.batch_wait_s if fill_s is None else fill_s,
        )
        self._ends = EndOffsets(settings)

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        on_assign: Callable[[list[Partition]], Starts] = lambda partitions: {},
        on_revoke: Callable[[list[Partition]], None] = lambda partitions: None,
        on_lost: Callable[[list[Partition]], None] = lambda partitions: None,
    ) -> None:
        """Join the group. ``poll`` calls the callbacks, on the polling thread, and raises their errors.

        Args:
            topics: full names.
            on_assign: called with the newly assigned partitions; returns where to begin in them.
            on_revoke: called with the revoked partitions; it may still commit applied records.
            on_lost: called with partitions that the group took away without asking. Others may own them.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError, BrokerRefusedError, StoppedError: as for ``retry``.
        """
        wait_for_topics(self._client.current, topics, self._patience, self._problems)

        def assigned(found: list[TopicPartition]) -> None:
            starts = on_assign(partitions := to_partitions(found))
            self.committed([one for one in partitions if not self._positions.has_committed(one)])
            self._rebalance([to_topic_partition(one, starts.get(one)) for one in partitions])
            self._take_over()
            self._client.note_joined()

        def revoked(found: list[TopicPartition]) -> None:
            self._is_revoking = True
            try:
                on_revoke(to_partitions(found))
            finally:
                self._is_revoking = False
            self._give_up(found)

        def lost(found: list[TopicPartition]) -> None:
            on_lost(to_partitions(found))
            self._give_up(found)

        self._commits.is_member = True
        self._client.subscribe(topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read the given partitions without group membership; None begins at the committed offset."""
        before = set(to_partitions(self._client.assigned))
        self._positions.forget(before - starts.keys())
        self._positions.restart(starts)
        self._client.note_assigned([to_topic_partition(one, offset) for one, offset in starts.items()])
        self._client.begin_reading()

    def poll(self, timeout_s: float = 0.2) -> list[Record]:
        """Return the next records; an empty list if none arrived within ``timeout_s``.

        It may return early without records: at the end of a partition, and after a rebalance. While no broker
        answers, it returns none.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: no broker has answered for too long, or it failed for good.
            BrokerRefusedError: a right is missing.
        """
        try:
            messages = self._batches.fetch(timeout_s)
        except BrokerUnavailableError:
            if not self._client.may_join_again():
                raise
            log.warning("lookups got no answer within a rebalance, so this member joins again anew")
            messages = []
            self._client.join_again()
        if messages:
            self._client.note_message()
        else:
            self._client.replace_if_stuck()
            if self._patience.is_suspect:
                self._lookups.probe()
        return self._batches.records(messages)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Read nothing of these assigned partitions, and again of all others.

        It holds until the next call or assignment. What is not read stays unread, so no end is reached there.
        """
        self._client.pause(partitions)

    def mark_applied(
        self, *, skip: Collection[Partition] = (), waiting: Mapping[Partition, int] = NONE_WAITING
    ) -> None:
        """Say that every record that ``poll`` has returned was applied, and what follows from it is written.

        Args:
            skip: partitions with records that were not applied yet.
            waiting: the first record that was not applied of other partitions: those before it were.
        """
        self._positions.mark_applied(skip, waiting)

    def commit(self, *, skip: Collection[Partition] = ()) -> None:
        """Commit the records that were marked as applied, where that moves the committed offset forward.

        If the brokers cannot commit now, nothing is committed, and a later call commits more. If the group
        has rebalanced, the broker refuses the commit and the new owner repeats the records.

        Args:
            skip: partitions whose committed offset stays as it is.

        Raises:
            BrokerUnavailableError: no commit has succeeded for too long, or the brokers failed for good.
            BrokerRefusedError: the right to commit is missing.
        """
        if self._is_revoking:
            self._commits.commit_before_revoked(skip)
        else:
            self._commits.commit(skip)

    def committed(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Return the committed offset of each partition, which is the first unapplied one; 0 if none.

        Args:
            partitions: of this consumer or of others.
            limit_s: seconds after which a lookup that fails is given up, if that is before the patience ends.
        """
        offsets = self._lookups.committed(partitions, limit_s)
        return {one: max(offset, 0) for one, offset in offsets.items()}

    def committed_within(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offsets, below 0 for none. One beyond the end is moved back to the end.

        The partition has lost its last records then, and those to come would count as committed.
        """
        return self._lookups.committed_within(partitions)

    def confirm_membership(self) -> bool:
        """Return whether the coordinator takes this member for the owner of its partitions.

        A member that was not heard of for too long learns late that it is none any more. So this asks, with a
        commit that changes nothing. It is True where no partition is assigned.

        Raises:
            BrokerUnavailableError: it did not answer at once.
        """
        return self._lookups.confirm_membership()

    def end_offsets(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Look up the offset after the last record of each partition at the broker; ``limit_s`` as above."""
        return self._lookups.end_offsets(partitions, limit_s)

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""
        return self._lookups.beginning_offsets(partitions)

    def partition_counts(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic that this user may describe."""
        return self._lookups.partition_counts()

    def lag(self) -> dict[Partition, Unread]:
        """Return how many records of each assigned partition are unread; see ``lag.unread_records``."""
        return unread_records(self._client.current, self._ends, self._positions, self._client.assigned)

    def position(self, partition: Partition) -> int | None:
        """Return the first unread offset; None before the first record or end since the assignment.

        It is beyond the last record that ``poll`` returned where a transaction marker, or records that were
        compacted away, lie in between.
        """
        return self._positions.read.get(partition)

    def is_at_end(self, partition: Partition) -> bool:
        """Tell whether the last thing read of a partition was its end. More may have come since."""
        return self._positions.is_at_end(partition)

    def close(self) -> None:
        """Leave the group at once, so that the other members need not wait for the session timeout."""
        with self._patience.call():
            self._client.current.close()
        self._client.kept.raise_first()

    def _serve(self) -> None:
        """Run the callbacks, which is a poll; with an assignment it would return records, which were lost.

        A client that is stuck is replaced; a request that is tried again must take the present one.

        Raises:
            BrokerRefusedError: the right to use the group is missing. The request itself only timed out.
        """
        if not self._client.assigned and not self._commits.is_member:
            message = self._client.current.poll(0)
            if message is not None and (error := message.error()) is not None:
                self._batches.report(message, error)
        self._client.replace_if_stuck()

    def _give_up(self, found: list[TopicPartition]) -> None:
        self._positions.forget(to_partitions(found))
        self._rebalance([])

    def _rebalance(self, assigned: list[TopicPartition]) -> None:
        self._client.note_assigned(assigned)
        self._positions.restart(to_partitions(assigned))

    def _take_over(self) -> None:
        """Read what the group has assigned.

        Raises:
            BrokerUnavailableError: librdkafka refuses to.
        """
        try:
            self._client.begin_reading()
        except KafkaException as cause:
            raise BrokerUnavailableError(
                f"the partitions that group {self._group} assigned cannot be read: {error_text(cause)}; "
                "do all its members have the same settings --kafka, and is it a group of this service only?"
            ) from cause
