"""Let a consumer outlive its client of librdkafka: a new one takes over what the old one read.

A client ends in two ways: it has lost its brokers for ever, or a lookup within a rebalance got no answer, so
that the partitions could not be taken over. Then a member joins again. Another reader goes on where it was.
"""

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, TopicPartition

from streams.kafka.broker_errors import is_retriable
from streams.kafka.config import Config, create_client
from streams.kafka.kept_errors import KeptErrors
from streams.kafka.patience import Patience
from streams.kafka.positions import Positions
from streams.kafka.records import Partition, to_partitions, to_topic_partition
from streams.kafka.stuck_clients import StuckClients, abandon

Callback = Callable[[list[TopicPartition]], None]


class LastingClient:
    """The present client of one consumer, and what it reads. Only the polling thread uses it.

    Args:
        config: the settings of each client.
        patience: how long a member whose rebalances fail joins again.
    """

    def __init__(self, config: Config, patience: Patience) -> None:
        self._patience = patience
        self._create = partial(create_client, ConfluentConsumer, config)
        self.current = self._create()
        """The client to call. Any later call may find another one."""

        self.assigned: Sequence[TopicPartition] = []
        """The partitions that it reads, each with the offset to begin at."""

        self.n_assignments = 0
        """How often partitions were assigned or taken away."""

        self.positions = Positions()
        """How far the partitions were read, which is where a reader without membership goes on."""

        self.kept = KeptErrors()
        """The errors of the callbacks."""

        self._paused: frozenset[Partition] = frozenset()
        self._stuck = StuckClients(self._create)
        self._topics: list[str] = []  # subscribed to
        self._callbacks: dict[str, Callable[[ConfluentConsumer, list[TopicPartition]], None]] = {}
        self._lose: Callback = lambda found: None
        self._gave_up = False  # a lookup within the last callback
        self._gave_up_since = math.inf  # without an assignment that succeeded

    def subscribe(
        self, topics: Sequence[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback
    ) -> None:
        """Join the group. The callbacks raise nothing to librdkafka: their errors are kept."""
        self._topics, self._lose = list(topics), on_lost
        self._callbacks = {
            "on_assign": self._guarded(on_assign),
            "on_revoke": self._guarded(on_revoke),
            "on_lost": self._guarded(on_lost),
        }
        self.current.subscribe(self._topics, **self._callbacks)

    def note_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Record which partitions are to be read from now on, each with the offset to begin at."""
        self.pause([])
        self.assigned = assigned
        self.n_assignments += 1

    def begin_reading(self) -> None:
        """Read the assigned partitions from their offsets on.

        Raises:
            KafkaException: librdkafka refuses to.
        """
        self.pause([])  # librdkafka may keep a pause of a partition that it goes on to read
        self.current.assign(list(self.assigned))

    def pause(self, partitions: Collection[Partition]) -> None:
        """Fetch no records of these partitions until the next call or assignment; go on with the others."""
        wanted = frozenset(partitions) & set(to_partitions(self.assigned))
        if ended := self._paused - wanted:
            self.current.resume(list(map(to_topic_partition, ended)))
        if begun := wanted - self._paused:
            self.current.pause(list(map(to_topic_partition, begun)))
        self._paused = wanted

    def note_message(self) -> None:
        """Record that the client works."""
        self._stuck.note_message()

    def replace_if_stuck(self) -> None:
        """Replace a client that has lost its brokers. Call it when nothing has arrived."""
        if self.kept.is_in_callback:  # see there: the check asks for the metadata of the cluster
            return
        topics = self._topics or [one.topic for one in self.assigned]
        if found := self._stuck.replacement(self.current, *topics[:1]):
            self._use(found)

    def join_again(self) -> None:
        """Leave the group, and join it with a new client."""
        self._use(self._create())

    def may_join_again(self) -> bool:
        """Return whether only a lookup within a callback failed, and not for longer than the patience."""
        gave_up, self._gave_up = self._gave_up, False
        self._gave_up_since = min(self._gave_up_since, self._patience.now())
        return gave_up and self._patience.now() - self._gave_up_since < self._patience.limit_s

    def note_gave_up(self, error: KafkaError) -> None:
        """Record the error of a lookup within a callback that was given up."""
        self._gave_up = is_retriable(error)

    def note_joined(self) -> None:
        """Record that an assignment succeeded."""
        self._gave_up_since = math.inf

    def _use(self, found: ConfluentConsumer) -> None:
        """Go on with another client: a member joins again, another reader goes on where it was."""
        old, self.current, self._paused = self.current, found, frozenset()
        self._stuck.note_message()
        abandon(old)
        if self._topics:
            self._lose(list(self.assigned))
            found.subscribe(self._topics, **self._callbacks)
        elif self.assigned:
            read = self.positions.read
            places = zip(to_partitions(self.assigned), self.assigned, strict=True)
            found.assign([to_topic_partition(at, read.get(at, one.offset)) for at, one in places])

    def _guarded(self, callback: Callback) -> Callable[[ConfluentConsumer, list[TopicPartition]], None]:
        """Return a callback that raises nothing, and does nothing for a client that was replaced."""
        guarded = self.kept.guard(callback)

        def called(client: ConfluentConsumer, found: list[TopicPartition]) -> None:
            if client is self.current:  # a replaced one is closed in another thread
                self._gave_up = False
                guarded(found)

        return called
