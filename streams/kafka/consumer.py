"""Read records in batches, as a member of a consumer group or from given partitions, and commit offsets.

A record is *read* when ``poll`` returns it, and *applied* when the caller says so. Only applied records can
be committed, so whatever fails between the two, they are read again.

Only the polling thread may call any method: a commit from another thread waits behind the poll.
"""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar, cast

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from streams.errors import BrokerUnavailableError, StreamError
from streams.kafka import offset_queries
from streams.kafka.admin import counts_of, wait_for_topics
from streams.kafka.broker_errors import (
    AUTHORIZATION,
    Right,
    error_of,
    error_text,
    is_fatal,
    is_retriable,
    kind_of,
)
from streams.kafka.commits import Commits
from streams.kafka.config import consumer_config, create_client
from streams.kafka.end_offsets import EndOffsets
from streams.kafka.kept_errors import KeptErrors
from streams.kafka.lag import Unread, unread_records
from streams.kafka.patience import ATTEMPT_S, Patience, ask_metadata, retry
from streams.kafka.positions import NONE_WAITING, Positions
from streams.kafka.problems import Problems
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
from streams.kafka.stuck_clients import StuckClients, abandon
from streams.settings import KafkaSettings
from streams.settings.fixed_values import CONSUMER_FIXED

log = logging.getLogger("streams.kafka")
T = TypeVar("T")

PROBE_INTERVAL_S = 1.0
"""Time between two questions whether a broker answers again."""

CALLBACK_S = 30.0
"""How long a lookup is retried within a callback. Nothing polls meanwhile, and a client that has lost its
brokers cannot be told from one that waits. After it the member gives up its partitions and joins again with
a new client, until the patience ends."""


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
        self._settings, self._group = settings, group
        self._patience = patience or Patience(settings.broker_patience_s)
        self._max_records = settings.batch_records if max_records is None else max_records
        self._fill_s = settings.batch_wait_s if fill_s is None else fill_s
        self._problems = Problems(settings, self._patience.suspect)
        self._kept = KeptErrors()
        self._probed_at = -math.inf
        self._positions = Positions()
        self._assigned: list[TopicPartition] = []  # each with the offset to begin at
        self._topics: list[str] = []  # subscribed to
        self._callbacks: dict[str, Callable[[ConfluentConsumer, list[TopicPartition]], None]] = {}
        self._lose: Callable[[list[TopicPartition]], None] = lambda found: None
        self._was_rebalanced = self._is_revoking = False
        self._gave_up = False  # a lookup within the last callback
        self._gave_up_since = math.inf  # without an assignment that succeeded
        config = consumer_config(
            settings,
            self._problems,
            {"auto.offset.reset": start},
            {**CONSUMER_FIXED, "group.id": group},
        )
        self._client = create_client(ConfluentConsumer, config)
        self._create = partial(create_client, ConfluentConsumer, config)
        self._stuck = StuckClients(self._create)
        self._commits = Commits(self._client, self._positions, self._patience, self._problems, group)
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
        wait_for_topics(self._client, topics, self._patience, self._problems)

        def assigned(found: list[TopicPartition]) -> None:
            starts = on_assign(partitions := to_partitions(found))
            self.committed([one for one in partitions if not self._positions.has_committed(one)])
            self._rebalance([to_topic_partition(one, starts.get(one)) for one in partitions])
            self._take_over()
            self._gave_up_since = math.inf

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

        self._commits.is_member, self._topics, self._lose = True, list(topics), lost
        self._callbacks = {
            "on_assign": self._guarded(assigned),
            "on_revoke": self._guarded(revoked),
            "on_lost": self._guarded(lost),
        }
        self._client.subscribe(self._topics, **self._callbacks)

    def assign(self, starts: Mapping[Partition, int | None]) -> None:
        """Read the given partitions without group membership; None begins at the committed offset."""
        before = set(to_partitions(self._assigned))
        self._positions.forget(before - starts.keys())
        self._positions.restart(starts)
        self._assigned = [to_topic_partition(partition, offset) for partition, offset in starts.items()]
        self._client.assign(self._assigned)

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
            messages = self._fetch(timeout_s)
        except BrokerUnavailableError:
            if not self._may_start_over():
                raise
            log.warning("lookups got no answer within a rebalance, so this member joins again anew")
            messages = []
            self._use(self._create())
        if messages:
            self._stuck.note_message()
        else:
            self._replace_if_stuck()
            if self._patience.is_suspect:
                self._probe()
        good = [message for message in messages if message.error() is None]
        ends = dict(map(_place, self._drop_errors(messages))) if len(good) < len(messages) else {}
        records = [to_record(message) for message in good]
        last = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._positions.note_read({Partition(*key): offset for key, offset in last.items()})
        self._positions.note_ends(ends)
        self._step_over_markers()
        return records

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
        offsets = self._ask_committed(list(partitions), limit_s)
        return {one: max(offset, 0) for one, offset in offsets.items()}

    def committed_within(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offsets, below 0 for none. One beyond the end is moved back to the end.

        The partition has lost its last records then, and those to come would count as committed.
        """
        found = self._ask_committed(list(partitions))
        ends = self.end_offsets(one for one, offset in found.items() if offset > 0)
        if beyond := {one: end for one, end in ends.items() if found[one] > end}:
            for one, end in beyond.items():
                log.warning(
                    "moved a committed offset back to the end of %s[%d] from=%d to=%d", *one, found[one], end
                )
            self._retry(lambda timeout_s: self._commits.move_back(beyond), self._commits.right)
        return found | beyond

    def confirm_membership(self) -> bool:
        """Return whether the coordinator takes this member for the owner of its partitions.

        A member that was not heard of for too long learns late that it is none any more. So this asks, with a
        commit that changes nothing. It is True where no partition is assigned.

        Raises:
            BrokerUnavailableError: it did not answer at once.
        """
        if not (partitions := to_partitions(self._assigned)):
            return True
        return self._retry(
            lambda timeout_s: self._commits.confirm(partitions[0], timeout_s), self._commits.right, ATTEMPT_S
        )

    def end_offsets(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Look up the offset after the last record of each partition at the broker; ``limit_s`` as above."""
        return self._look_up(list(partitions), END, limit_s)

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""
        return self._look_up(list(partitions), BEGINNING)

    def partition_counts(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic that this user may describe."""
        return counts_of(
            self._retry(lambda timeout_s: ask_metadata(self._client, self._patience, timeout_s), None)
        )

    def lag(self) -> dict[Partition, Unread]:
        """Return how many records of each assigned partition are unread; see ``lag.unread_records``."""
        return unread_records(self._client, self._ends, self._positions, self._assigned)

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
            self._client.close()
        self._kept.raise_first()

    def _ask_committed(self, found: list[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        if not found:
            return {}
        return self._retry(
            lambda timeout_s: self._commits.ask(found, timeout_s), self._commits.right, limit_s
        )

    def _look_up(
        self, partitions: list[Partition], which: int, limit_s: float = math.inf
    ) -> dict[Partition, int]:
        if not partitions:
            return {}  # librdkafka refuses an empty request
        return self._retry(
            lambda timeout_s: offset_queries.edge_offsets(
                self._client, partitions, which, timeout_s, in_callback=self._kept.is_in_callback
            ),
            Right("Describe", "topic", partitions[0].topic),
            limit_s,
        )

    def _retry(self, request: Callable[[float], T], right: Right | None, limit_s: float = math.inf) -> T:
        limit_s = min(limit_s, CALLBACK_S) if self._kept.is_in_callback else limit_s
        patience = self._patience if limit_s == math.inf else self._patience.at_most(limit_s)
        try:
            return retry(request, patience, self._problems, right=right, serve=self._serve)
        except BrokerUnavailableError as error:
            cause = error.__cause__
            if self._kept.is_in_callback and isinstance(cause, KafkaException):
                self._gave_up = is_retriable(error_of(cause))
            raise

    def _may_start_over(self) -> bool:
        """Return whether only a lookup within a callback failed, and not for longer than the patience."""
        gave_up, self._gave_up = self._gave_up, False
        self._gave_up_since = min(self._gave_up_since, self._patience.now())
        return gave_up and self._patience.now() - self._gave_up_since < self._patience.limit_s

    def _serve(self) -> None:
        """Run the callbacks, which is a poll; with an assignment it would return records, which were lost.

        A client that is stuck is replaced; a request that is tried again must take the present one.

        Raises:
            BrokerRefusedError: the right to use the group is missing. The request itself only timed out.
        """
        if not self._assigned and not self._commits.is_member:
            message = self._client.poll(0)
            if message is not None and (error := message.error()) is not None:
                self._report(message, error)
        self._replace_if_stuck()

    def _replace_if_stuck(self) -> None:
        if self._kept.is_in_callback:
            return
        topics = self._topics or [one.topic for one in self._assigned]
        if found := self._stuck.replacement(self._client, *topics[:1]):
            self._use(found)

    def _use(self, found: ConfluentConsumer) -> None:
        """Go on with another client: a member joins again, another reader goes on where it was."""
        old, self._client = self._client, found
        self._commits.use(found)
        self._stuck.note_message()
        abandon(old)
        if self._topics:
            self._lose(self._assigned)
            found.subscribe(self._topics, **self._callbacks)
        elif self._assigned:
            read = self._positions.read
            places = zip(to_partitions(self._assigned), self._assigned, strict=True)
            found.assign([to_topic_partition(at, read.get(at, one.offset)) for at, one in places])

    def _guarded(
        self, callback: Callable[[list[TopicPartition]], None]
    ) -> Callable[[ConfluentConsumer, list[TopicPartition]], None]:
        """Return a callback that raises nothing, and does nothing for a client that was replaced."""
        guarded = self._kept.guard(callback)

        def called(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            if client is self._client:  # a replaced one is closed in another thread
                self._gave_up = False
                guarded(found)

        return called

    def _probe(self) -> None:
        """Ask whether a broker answers, about once a second.

        Raises:
            BrokerUnavailableError: none has answered for too long.
        """
        if self._patience.now() - self._probed_at < PROBE_INTERVAL_S:
            return
        try:
            ask_metadata(self._client, self._patience, ATTEMPT_S)
        except KafkaException as cause:
            if self._patience.away_s > self._patience.limit_s:
                raise self._failure(error_of(cause)) from cause
        else:
            self._problems.clear()
        self._probed_at = self._patience.now()

    def _right(self, error: KafkaError, topic: str = "") -> Right:
        """Return the right that is missing if this is an error of authorization."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return self._commits.right
        return Right("Read", "topic", topic or next((one.topic for one in self._assigned), ""))

    def _failure(self, error: KafkaError, right: Right | None = None) -> StreamError:
        return self._problems.failure(error, self._patience.limit_s, right)

    def _give_up(self, found: list[TopicPartition]) -> None:
        self._positions.forget(to_partitions(found))
        self._rebalance([])

    def _rebalance(self, assigned: list[TopicPartition]) -> None:
        self._assigned, self._was_rebalanced = assigned, True
        self._positions.restart(to_partitions(assigned))

    def _take_over(self) -> None:
        """Read what the group has assigned.

        Raises:
            BrokerUnavailableError: librdkafka refuses to.
        """
        try:
            self._client.assign(self._assigned)
        except KafkaException as cause:
            raise BrokerUnavailableError(
                f"the partitions that group {self._group} assigned cannot be read: {error_text(cause)}; "
                "do all its members have the same settings --kafka, and is it a group of this service only?"
            ) from cause

    def _fetch(self, timeout_s: float) -> list[Message]:
        """Return the next messages of the present assignment.

        A rebalance within ``consume`` leaves messages from before it in the batch. None of them was applied.
        So all are dropped, and those of partitions that are still ours are read again.
        """
        first = self._problems.serve(lambda: self._client.poll(timeout_s))
        self._kept.raise_first()
        if first is None:
            return []
        self._was_rebalanced = False
        messages = [first, *self._problems.serve(self._fetch_more)]
        self._kept.raise_first()
        if not self._was_rebalanced:
            return messages
        if self._assigned:
            self._client.assign(self._assigned)
        return []

    def _fetch_more(self) -> list[Message]:
        return self._client.consume(self._max_records - 1, self._fill_s)

    def _step_over_markers(self) -> None:
        """Ask the client for its positions, which are beyond the markers of transactions.

        Right after an assignment they may still be those of the one before. So only partitions of which
        something was read since then are asked for.
        """
        if known := [TopicPartition(*partition) for partition in self._positions.read]:
            self._positions.note_steps(
                {to_partition(one): one.offset for one in self._client.position(known)}
            )

    def _drop_errors(self, messages: Iterable[Message]) -> list[Message]:
        """Return the messages that tell the end of a partition; report errors."""
        found = [(message, error) for message in messages if (error := message.error()) is not None]
        for message, error in found:
            if error.code() != KafkaError._PARTITION_EOF:
                self._report(message, error)
        return [message for message, error in found if error.code() == KafkaError._PARTITION_EOF]

    def _report(self, message: Message, error: KafkaError) -> None:
        topic = str(message.topic())
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            wait_for_topics(self._client, [topic], self._patience, self._problems)
        if is_fatal(error) or kind_of(error) == AUTHORIZATION:
            raise self._failure(error, self._right(error, topic))
        self._problems(error)


def _place(message: Message) -> tuple[Partition, int]:
    return Partition(str(message.topic()), cast(int, message.partition())), cast(int, message.offset())
