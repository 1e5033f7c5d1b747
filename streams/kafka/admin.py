"""Ask the brokers about topics, and create them."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # imported there, not exported by __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams import topics
from streams.kafka import metadata
from streams.kafka.config import Errors, configure, made, unavailable
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")


class Admin:
    """The administrator's client; every call waits for its answer.

    Kept as long as its calls take: librdkafka cancels what an administrator that is gone had asked.

    Raises:
        BrokerUnavailableError: from any method, when no broker answers in time, or it refuses.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._errors = Errors()
        self._client = made(AdminClient, configure(settings, self._errors, {}, {}))

    def partitions(self) -> Mapping[str, int]:
        """Return the number of partitions of each topic there is."""
        return metadata.partitions(self._client, self._settings, self._errors)

    def configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the configuration of these topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._client.describe_configs(resources, request_timeout=self._settings.broker_timeout_s)
        return {
            resource.name: {key: entry.value for key, entry in self._wait(future).items()}
            for resource, future in futures.items()
        }

    def create(self, new: Sequence[topics.NewTopic]) -> None:
        """Create topics and wait until they are there; one that exists is left as it is."""
        wanted = [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, config=dict(topic.config))
            for topic in new
        ]
        timeout = self._settings.broker_timeout_s
        for future in self._client.create_topics(
            wanted, request_timeout=timeout, operation_timeout=timeout
        ).values():
            self._wait(future, accept=KafkaError.TOPIC_ALREADY_EXISTS)
        metadata.wait_for_topics(self._client, [topic.name for topic in new], self._settings, self._errors)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics and all they hold; one that is not there is no error."""
        futures = self._client.delete_topics(list(names), operation_timeout=self._settings.broker_timeout_s)
        for future in futures.values():
            self._wait(future, accept=KafkaError.UNKNOWN_TOPIC_OR_PART)

    def _wait(self, future: "Future[Any]", accept: int | None = None) -> dict[str, Any]:
        try:
            return future.result(timeout=self._settings.broker_timeout_s + 5) or {}
        except KafkaException as error:
            if error.args[0].code() == accept:
                return {}
            raise unavailable(self._settings, self._errors, error) from error
