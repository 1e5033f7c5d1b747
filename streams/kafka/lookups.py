"""Ask brokers for offsets and topics, with patience.

Within a callback of a rebalance a lookup has less patience, and must not ask for the metadata of the cluster:
see ``KeptErrors.is_in_callback``.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from confluent_kafka import KafkaException

from streams.errors import BrokerUnavailableError
from streams.kafka import offset_queries
from streams.kafka.admin import counts_of
from streams.kafka.broker_errors import Right, error_of
from streams.kafka.commits import Commits
from streams.kafka.lasting_client import LastingClient
from streams.kafka.patience import ATTEMPT_S, Patience, ask_metadata, retry
from streams.kafka.problems import Problems
from streams.kafka.records import BEGINNING, END, Partition, to_partitions

log = logging.getLogger("streams.kafka")
T = TypeVar("T")

PROBE_INTERVAL_S = 1.0
"""Time between two questions whether a broker answers again."""

CALLBACK_S = 30.0
"""How long a lookup is retried within a callback. Nothing polls meanwhile, and a client that has lost its
brokers cannot be told from one that waits. After it the member gives up its partitions and joins again with
a new client, until the patience ends."""


class Lookups:
    """The questions of one consumer to the brokers. Only its polling thread uses them.

    Every request asks the present client, also when it is tried again: it may be replaced meanwhile.

    Args:
        client: the client of the consumer.
        commits: those of the consumer, which know committed offsets.
        patience: how long a lookup is retried.
        problems: the problems of the client, which explain a failure.
        serve: called after each attempt that failed.
    """

    def __init__(
        self,
        client: LastingClient,
        commits: Commits,
        patience: Patience,
        problems: Problems,
        serve: Callable[[], None],
    ) -> None:
        self._client, self._commits = client, commits
        self._patience, self._problems, self._serve = patience, problems, serve
        self._probed_at = -math.inf

    def committed(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Return the committed offsets, below 0 for none; see ``Consumer.committed``."""
        if not (found := list(partitions)):
            return {}
        return self._retry(
            lambda timeout_s: self._commits.ask(found, timeout_s), self._commits.right, limit_s
        )

    def committed_within(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the committed offsets, none beyond the end; see ``Consumer.committed_within``."""
        found = self.committed(partitions)
        ends = self.end_offsets(one for one, offset in found.items() if offset > 0)
        if beyond := {one: end for one, end in ends.items() if found[one] > end}:
            for one, end in beyond.items():
                log.warning(
                    "moved a committed offset back to the end of %s[%d] from=%d to=%d", *one, found[one], end
                )
            self._retry(lambda timeout_s: self._commits.move_back(beyond), self._commits.right)
        return found | beyond

    def confirm_membership(self) -> bool:
        """Return whether the coordinator takes a commit; see ``Consumer.confirm_membership``."""
        if not (partitions := to_partitions(self._client.assigned)):
            return True
        return self._retry(
            lambda timeout_s: self._commits.confirm(partitions[0], timeout_s), self._commits.right, ATTEMPT_S
        )

    def end_offsets(self, partitions: Iterable[Partition], limit_s: float = math.inf) -> dict[Partition, int]:
        """Return the offset after the last record of each partition."""
        return self._edges(list(partitions), END, limit_s)

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset of the first retained record of each partition."""
        return self._edges(list(partitions), BEGINNING)

    def partition_counts(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic that this user may describe."""
        return counts_of(
            self._retry(lambda timeout_s: ask_metadata(self._client.current, self._patience, timeout_s), None)
        )

    def probe(self) -> None:
        """Ask whether a broker answers, about once a second.

        Raises:
            BrokerUnavailableError: none has answered for too long.
        """
        if self._patience.now() - self._probed_at < PROBE_INTERVAL_S:
            return
        try:
            ask_metadata(self._client.current, self._patience, ATTEMPT_S)
        except KafkaException as cause:
            if self._patience.away_s > self._patience.limit_s:
                raise self._problems.failure(error_of(cause), self._patience.limit_s) from cause
        else:
            self._problems.clear()
        self._probed_at = self._patience.now()

    def _edges(
        self, partitions: list[Partition], which: int, limit_s: float = math.inf
    ) -> dict[Partition, int]:
        if not partitions:
            return {}  # librdkafka refuses an empty request
        return self._retry(
            lambda timeout_s: offset_queries.edge_offsets(
                self._client.current,
                partitions,
                which,
                timeout_s,
                in_callback=self._client.kept.is_in_callback,
            ),
            Right("Describe", "topic", partitions[0].topic),
            limit_s,
        )

    def _retry(self, request: Callable[[float], T], right: Right | None, limit_s: float = math.inf) -> T:
        limit_s = min(limit_s, CALLBACK_S) if self._client.kept.is_in_callback else limit_s
        patience = self._patience if limit_s == math.inf else self._patience.at_most(limit_s)
        try:
            return retry(request, patience, self._problems, right=right, serve=self._serve)
        except BrokerUnavailableError as error:
            cause = error.__cause__
            if self._client.kept.is_in_callback and isinstance(cause, KafkaException):
                self._client.note_gave_up(error_of(cause))
            raise
