"""Let one process at a time be active: the one that owns the only partition of a topic in a consumer group.

The others are standbys. The group coordinator hands the partition to one of them when its owner leaves, or
when the coordinator has not heard from the owner for the session timeout.
"""

from functools import partial

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError

from streams.kafka.broker_errors import AUTHORIZATION, Right, is_fatal, kind_of
from streams.kafka.config import consumer_config, create_client
from streams.kafka.patience import Patience
from streams.kafka.problems import Problems
from streams.kafka.stuck_clients import StuckClients, abandon
from streams.settings import KafkaSettings
from streams.settings.fixed_values import CONSUMER_FIXED


class Ownership:
    """Membership of a consumer group for the sake of a partition; its records are not used.

    Args:
        settings: broker addresses.
        topic: full name of a topic with one partition.
        group: full name of the consumer group.
        patience: told when a broker seems to be away.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str, patience: Patience) -> None:
        self._topic, self._group, self._patience = topic, group, patience
        self._problems = Problems(settings, patience.suspect)
        fixed = {
            **CONSUMER_FIXED,
            "group.id": group,
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",  # a new member does not take it away
        }
        config = consumer_config(settings, self._problems, {}, fixed)
        create = partial(create_client, ConfluentConsumer, config)
        self._client, self._stuck = create(), StuckClients(create)
        self._client.subscribe([topic])

    def poll(self) -> bool:
        """Return whether this process owns the partition. Call it several times a minute.

        Raises:
            BrokerUnavailableError: the broker failed for good.
            BrokerRefusedError: a right is missing.
        """
        if found := self._stuck.replacement(self._client, self._topic):
            abandon(self._client)
            self._client = found
            found.subscribe([self._topic])
        message = self._problems.serve(lambda: self._client.poll(0))
        error = None if message is None else message.error()
        if error is not None and (is_fatal(error) or kind_of(error) == AUTHORIZATION):
            is_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
            right = Right("Read", "group", self._group) if is_group else Right("Read", "topic", self._topic)
            raise self._problems.failure(error, self._patience.limit_s, right)
        return bool(self._client.assignment())

    def close(self) -> None:
        """Leave the group, so that a standby becomes active at once."""
        self._client.close()
