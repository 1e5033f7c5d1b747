"""Look up, create and delete topics."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # imported there, not exported by __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams import topics
from streams.errors import BrokerUnavailableError, TopicError
from streams.kafka.config import LastError, broker_error, client_config, create_client
from streams.settings import KafkaSettings

METADATA_POLL_S = 0.05
"""Time between two looks at the cluster metadata while waiting for a new topic."""


class Admin:
    """Administer topics; every call waits for its result.

    Keep the object until its calls return: librdkafka cancels the pending requests of a closed client.

    Raises:
        BrokerUnavailableError: from any method, if no broker answers in time or the broker refuses.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._last_error = LastError()
        self._client = create_client(AdminClient, client_config(settings, self._last_error, {}, {}))

    def partitions(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic."""
        return partition_counts(self._client, self._settings, self._last_error)

    def configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the configuration of the named topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._client.describe_configs(resources, request_timeout=self._settings.broker_timeout_s)
        return {
            resource.name: {key: entry.value for key, entry in self._wait(future).items()}
            for resource, future in futures.items()
        }

    def create(self, new: Sequence[topics.NewTopic]) -> None:
        """Create topics and wait until they exist; an existing topic is left unchanged.

        Configuration of ``topics.OPTIONAL`` that the broker does not know is left out.
        """
        left = new
        while left:
            left = self._request(left)
        wait_for_topics(self._client, [topic.name for topic in new], self._settings, self._last_error)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics with all their records; a missing topic is not an error."""
        futures = self._client.delete_topics(list(names), operation_timeout=self._settings.broker_timeout_s)
        for future in futures.values():
            self._wait(future, accept=KafkaError.UNKNOWN_TOPIC_OR_PART)

    def _request(self, new: Sequence[topics.NewTopic]) -> list[topics.NewTopic]:
        """Request topics; return those to request again, without what the broker does not know."""
        timeout, again = self._settings.broker_timeout_s, []
        requested = [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, config=dict(topic.config))
            for topic in new
        ]
        futures = self._client.create_topics(requested, request_timeout=timeout, operation_timeout=timeout)
        for topic in new:
            try:
                self._wait(futures[topic.name], accept=KafkaError.TOPIC_ALREADY_EXISTS)
            except BrokerUnavailableError as error:
                if (name := _unknown_config(error)) not in topics.OPTIONAL & topic.config.keys():
                    raise
                known = {key: value for key, value in topic.config.items() if key != name}
                again.append(replace(topic, config=known))
        return again

    def _wait(self, future: "Future[Any]", accept: int | None = None) -> dict[str, Any]:
        try:
            return future.result(timeout=self._settings.broker_timeout_s + 5) or {}
        except KafkaException as error:
            if error.args[0].code() == accept:
                return {}
            raise broker_error(self._settings, self._last_error, error) from error


def _unknown_config(error: BrokerUnavailableError) -> str | None:
    """Return the name of the configuration that the broker does not know, if that is the error."""
    found = re.search(r"unknown topic config name:? (\S+)", str(error), re.IGNORECASE)
    return found[1] if found else None


def partition_counts(
    client: Any,  # noqa: ANN401 - an administrator's, consumer's or producer's client
    settings: KafkaSettings,
    last_error: LastError,
) -> Mapping[str, int]:
    """Return the number of partitions of every existing topic.

    Raises:
        BrokerUnavailableError: no broker answers in time.
    """
    try:
        found = client.list_topics(timeout=settings.broker_timeout_s).topics
    except KafkaException as error:
        raise broker_error(settings, last_error, error) from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def wait_for_topics(
    client: Any,  # noqa: ANN401 - as above
    names: Iterable[str],
    settings: KafkaSettings,
    last_error: LastError,
) -> None:
    """Wait until the named topics exist: a new topic appears in the brokers' metadata with a short delay.

    Raises:
        TopicError: a topic did not appear in time.
        BrokerUnavailableError: no broker answers in time.
    """
    end = time.monotonic() + settings.broker_timeout_s
    while missing := sorted(set(names) - partition_counts(client, settings, last_error).keys()):
        if time.monotonic() > end:
            raise TopicError(topics.missing_text(missing, settings))
        time.sleep(METADATA_POLL_S)
