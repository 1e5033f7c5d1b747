"""Commit what was applied, for a consumer that is a member of its group or not.

A committed offset never moves back, with one exception: where it is beyond the end of the partition, which
has lost its last records, it moves back to the end. Otherwise records to come would count as committed.

A broker deletes the committed offsets of a group without members after ``offsets.retention.minutes`` (seven
days), one by one. So a consumer that is no member commits those of quiet partitions again every day.
"""

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerUnavailableError, StoppedError
from streams.kafka import offset_queries
from streams.kafka.broker_errors import AUTHORIZATION, Right, error_of, error_text, is_retriable, kind_of
from streams.kafka.lasting_client import LastingClient
from streams.kafka.patience import ATTEMPT_S, FIRST_PAUSE_S, MAX_PAUSE_S, Patience, retry
from streams.kafka.positions import Positions
from streams.kafka.problems import Problems
from streams.kafka.records import Partition, to_topic_partition

log = logging.getLogger("streams.kafka")

REBALANCED = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,
    KafkaError._ASSIGNMENT_LOST,
)
"""Error codes of a commit after the group has rebalanced."""

REVOKED_S = 10.0
"""How long a commit is retried while partitions are revoked. After that the next owner reads the records
again, which repeats their outputs and loses none. The group waits for this member meanwhile."""


RENEW_S = 24 * 3600.0
"""Age of a commit of a consumer without membership from which on it is repeated."""


class Commits:
    """The commits of one consumer. Only its polling thread uses it.

    Args:
        client: that of the consumer.
        positions: what it has read, applied and committed.
        patience: how long commits may fail.
        problems: the problems of the client, which explain a failure.
        group: the consumer group.
    """

    def __init__(
        self,
        client: LastingClient,
        positions: Positions,
        patience: Patience,
        problems: Problems,
        group: str,
    ) -> None:
        self._client, self._positions = client, positions
        self._patience, self._problems = patience, problems
        self._failed = FailedCommits(patience)
        self._sent_at: dict[Partition, float] = {}  # the last commit of each partition, without membership
        self.right = Right("Read", "group", group)
        self.is_member = False
        """Whether the consumer is a member of its group, so that nobody else commits its partitions."""

    def commit(self, skip: Collection[Partition]) -> None:
        """Commit the applied records outside of these partitions; see ``Consumer.commit``."""
        if self._patience.is_away or not self._failed.is_due():
            return
        try:
            self._commit_once(skip, ATTEMPT_S)
        except KafkaException as cause:
            self._problems.note(error := error_of(cause))
            if not is_retriable(error) or self._failed.has_failed_too_long():
                raise self._problems.failure(error, self._patience.limit_s, self._right_of(error)) from cause
            self._failed.note_failure()
        else:
            self._failed.note_success()

    def commit_before_revoked(self, skip: Collection[Partition]) -> None:
        """Commit, with retries: later, the partitions belong to another member."""
        if self._patience.is_away:
            log.warning("not committed before a rebalance, no broker answers; records will be read again")
            return
        patience = self._patience.at_most(REVOKED_S)
        try:
            retry(lambda timeout_s: self._commit_once(skip, timeout_s), patience, self._problems)
        except (BrokerUnavailableError, StoppedError) as error:
            log.warning("not committed before a rebalance, records will be read again reason=%s", error)

    def ask(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, int]:
        """Look up the committed offsets; below 0 for a partition without one.

        Raises:
            KafkaException: the request failed; see ``retry``.
        """
        found = offset_queries.committed_offsets(self._client.current, partitions, timeout_s)
        self._positions.note_committed(found)
        return found

    def move_back(self, ends: Mapping[Partition, int]) -> bool:
        """Commit the ends of partitions that are before the committed offsets; return False if refused.

        Raises:
            KafkaException: the request failed; see ``retry``.
        """
        if is_committed := self._send(ends):
            self._positions.note_committed(ends)
        return is_committed

    def confirm(self, partition: Partition, timeout_s: float) -> bool:
        """Return whether the coordinator takes a commit of this consumer, by one that changes nothing.

        Raises:
            KafkaException: the request failed; see ``retry``.
        """
        (offset,) = self.ask([partition], timeout_s).values()  # anew: another worker may have committed
        return self._send({partition: max(offset, 0)})

    def _commit_once(self, skip: Collection[Partition], timeout_s: float) -> None:
        old = self._old()
        self._look_up(self._positions.to_commit(skip, old), timeout_s)
        if changed := self._positions.to_commit(skip, old):
            self._send(changed)
            self._positions.note_committed(changed)  # if it was refused, the new owner commits
            self._sent_at |= dict.fromkeys(changed, self._patience.now())

    def _old(self) -> set[Partition]:
        """Return the partitions whose committed offsets a broker may delete if they are not sent again."""
        if self.is_member:
            return set()
        due = self._patience.now() - RENEW_S
        return {one for one in self._positions.applied() if self._sent_at.get(one, -math.inf) < due}

    def _send(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit; return False if the broker refuses it because the group has rebalanced."""
        found = [to_topic_partition(partition, offset) for partition, offset in offsets.items()]
        try:
            with self._patience.call():  # it has no timeout: without a coordinator it takes ten seconds
                self._client.current.commit(offsets=found, asynchronous=False)
        except KafkaException as cause:
            if error_of(cause).code() not in REBALANCED:
                raise
            log.warning("commit refused, records will be read again reason=%s", error_text(cause))
            return False
        return True

    def _look_up(self, partitions: Iterable[Partition], timeout_s: float) -> None:
        """Learn the committed offsets, below which nothing is committed.

        A member of the group needs this once for each assignment: nobody else can commit. Without membership
        another process may have committed in the meantime.
        """
        known = self._positions.has_committed if self.is_member else lambda partition: False
        if unknown := [one for one in partitions if not known(one)]:
            self.ask(unknown, timeout_s)

    def _right_of(self, error: KafkaError) -> Right:
        """Return the right that is missing if this is an error of authorization."""
        is_topic = kind_of(error) == AUTHORIZATION and error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED
        topic = next((one.topic for one in self._positions.read), "")
        return Right("Read", "topic", topic) if is_topic else self.right


class FailedCommits:
    """When to try again after a commit that the brokers could not do, and for how long to go on."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since = self._next = math.inf
        self._pause_s = FIRST_PAUSE_S
        self.note_success()

    def is_due(self) -> bool:
        """Tell whether a commit may be tried now."""
        return self._patience.now() >= self._next

    def has_failed_too_long(self) -> bool:
        """Tell whether every commit has failed for longer than the limit."""
        return self._patience.now() - self._since > self._patience.limit_s

    def note_failure(self) -> None:
        """Delay the next commit."""
        now = self._patience.now()
        self._since = min(self._since, now)
        self._next, self._pause_s = now + self._pause_s, min(2 * self._pause_s, MAX_PAUSE_S)
        self._patience.suspect()

    def note_success(self) -> None:
        """Forget the failures."""
        self._since, self._next, self._pause_s = math.inf, -math.inf, FIRST_PAUSE_S
