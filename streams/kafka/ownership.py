"""Let one process at a time be active: the one that owns the only partition of a topic in a consumer group.

The others are standbys. The group coordinator hands the partition to one of them when its owner leaves, or
when the coordinator has not heard from the owner for the session timeout.
"""

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.config import (
    CONSUMER_DEFAULTS,
    CONSUMER_REQUIRED,
    LastError,
    broker_error,
    client_config,
    create_client,
)
from streams.settings import KafkaSettings

REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


class Ownership:
    """Membership of a consumer group for the sake of a partition; its records are not used.

    Args:
        settings: broker addresses.
        topic: full name of a topic with one partition.
        group: full name of the consumer group.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        self._settings, self._last_error = settings, LastError()
        required = CONSUMER_REQUIRED | {
            "group.id": group,
            "group.protocol": "classic",
            "partition.assignment.strategy": "cooperative-sticky",  # a new member does not take it away
        }
        config = client_config(settings, self._last_error, CONSUMER_DEFAULTS, required)
        self._client = create_client(ConfluentConsumer, config)
        self._client.subscribe([topic])

    def poll(self) -> bool:
        """Return whether this process owns the partition. Call it several times a minute.

        Raises:
            BrokerUnavailableError: the broker refuses us.
        """
        message = self._client.poll(0)
        error = None if message is None else message.error()
        if error is not None and (error.fatal() or error.code() in REFUSED):
            raise broker_error(self._settings, self._last_error, KafkaException(error))
        return bool(self._client.assignment())

    def close(self) -> None:
        """Leave the group, so that a standby becomes active at once."""
        self._client.close()
