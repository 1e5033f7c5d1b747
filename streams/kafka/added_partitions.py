"""Notices that topics got more partitions while they are read.

A consumer group is given the new partitions, within minutes. But readers that were told which partitions to
read, as of the global tables and the trainer's log, would never read them, and what producers write there
would have no effect, without a word.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from streams import topics
from streams.errors import TopicError
from streams.settings import KafkaSettings

LOOK_S = 60.0
"""Time between two looks. At the start of a role the counts are right."""

READ = (
    topics.RATINGS,
    topics.USERS,
    topics.ITEMS,
    topics.ITEM_RATINGS,
    topics.ITEM_CODES,
    topics.MODELS,
    topics.REQUESTS,
)
"""The topics that workers and trainers read."""


class Cluster(Protocol):
    """A client that knows the partitions of a cluster."""

    def partition_counts(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic."""


class AddedPartitions:
    """Looks about once a minute. One thread may use it."""

    def __init__(
        self, settings: KafkaSettings, cluster: Cluster, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = {
            settings.topic(topic.name): settings.partitions if topic.is_sharded else 1 for topic in READ
        }
        self._cluster, self._now, self._looked_at = cluster, now, now()

    def refuse(self) -> None:
        """Look if it is time to.

        Raises:
            TopicError: a topic has more partitions than at the start.
            BrokerUnavailableError, BrokerRefusedError, StoppedError: as for ``Consumer``.
        """
        if self._now() - self._looked_at < LOOK_S:
            return
        self._looked_at = self._now()
        counts = self._cluster.partition_counts()
        for name, expected in self._expected.items():
            if counts.get(name, expected) > expected:
                raise TopicError(topics.partitions_text(name, counts[name], expected))
