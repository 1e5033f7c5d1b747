"""Look up, create and delete topics, and look up the members of groups."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined] # imported there, not exported by __all__
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams import topics
from streams.errors import BrokerUnavailableError, TopicError
from streams.kafka.broker_errors import AUTHORIZATION, Right, error_of, failed, kind_of
from streams.kafka.config import create_client, producer_config
from streams.kafka.patience import ATTEMPT_S, Patience, ask_metadata, retry
from streams.kafka.problems import Problems
from streams.settings import KafkaSettings

METADATA_POLL_S = 0.05
"""Time between two looks at the cluster metadata while waiting for a new topic."""

FUTURE_S = 5.0
"""How much longer than a request its future may take."""


class Admin:
    """Administer topics; every call waits for its result.

    Keep the object until its calls return: librdkafka cancels the pending requests of a closed client.

    Args:
        settings: the addresses of the brokers.
        patience: how long to retry; None is ``broker_timeout_s``, for commands that a person waits for.

    Raises:
        BrokerUnavailableError: from any method, if no broker answers in time or it fails.
        BrokerRefusedError: from any method, if no broker lets this client in, or a right is missing.
        StoppedError: from any method, if the process was told to stop.
    """

    def __init__(self, settings: KafkaSettings, patience: Patience | None = None) -> None:
        self._settings = settings
        self._patience = patience or Patience(settings.broker_timeout_s)
        self._problems = Problems(settings, self._patience.suspect)
        self._client = create_client(AdminClient, producer_config(settings, self._problems, {}, {}))

    def partitions(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic that this user may describe."""
        return partition_counts(
            self._client, self._patience, self._problems, serve=lambda: self._client.poll(0)
        )

    def probe(self) -> None:
        """Ask whether a broker answers.

        Raises:
            BrokerUnavailableError: none has answered for longer than the patience.
        """
        self._client.poll(0)
        try:
            ask_metadata(self._client, self._patience, ATTEMPT_S)
        except KafkaException as cause:
            if self._patience.away_s > self._patience.limit_s:
                raise self._problems.failure(error_of(cause), self._patience.limit_s) from cause
        else:
            self._problems.clear()

    def require_rights(self, names: Sequence[str]) -> None:
        """Require that missing topics are missing: brokers hide topics that a user may not describe."""

        def ask(timeout_s: float) -> Mapping[Any, "Future[Any]"]:
            asked = TopicCollection(list(names))
            return self._client.describe_topics(asked, request_timeout=timeout_s)

        self._each(ask, "Describe", accept=KafkaError.UNKNOWN_TOPIC_OR_PART)

    def configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the configuration of the named topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found = self._each(
            lambda timeout_s: self._client.describe_configs(resources, request_timeout=timeout_s),
            "DescribeConfigs",
        )
        return {name: {key: one.value for key, one in entries.items()} for name, entries in found.items()}

    def members(self, group: str) -> Sequence[Mapping[str, int]]:
        """Return how many partitions of each topic every member of a consumer group has; most first."""
        found = self._each(
            lambda timeout_s: self._client.describe_consumer_groups([group], request_timeout=timeout_s),
            "Describe",
            resource="group",
        )[group]
        counts = [
            Counter(one.topic for one in member.assignment.topic_partitions) for member in found.members
        ]
        return sorted(counts, key=Counter.total, reverse=True)

    def create(self, new: Sequence[topics.NewTopic]) -> None:
        """Create topics and wait until they exist; an existing topic is left unchanged.

        Configuration of ``topics.OPTIONAL`` that the broker does not know is left out.
        """
        left = list(new)
        while unknown := self._request(left):
            left = [
                replace(topic, config={key: value for key, value in topic.config.items() if key != unknown})
                for topic in left
            ]
        wait_for_topics(self._client, [topic.name for topic in new], self._patience, self._problems)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics with all their records; a missing topic is not an error."""
        self._each(
            lambda timeout_s: self._client.delete_topics(list(names), operation_timeout=timeout_s),
            "Delete",
            accept=KafkaError.UNKNOWN_TOPIC_OR_PART,
        )

    def _request(self, new: Sequence[topics.NewTopic]) -> str | None:
        """Request topics; return the name of a configuration that the broker does not know and may lack."""
        requested = [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, config=dict(topic.config))
            for topic in new
        ]
        try:
            self._each(
                lambda timeout_s: self._client.create_topics(
                    requested, request_timeout=timeout_s, operation_timeout=timeout_s
                ),
                "Create",
                accept=KafkaError.TOPIC_ALREADY_EXISTS,
            )
        except BrokerUnavailableError as error:
            unknown = _unknown_config(error)
            if unknown in topics.OPTIONAL and any(unknown in topic.config for topic in new):
                return unknown
            raise
        return None

    def _each(
        self,
        ask: Callable[[float], Mapping[Any, "Future[Any]"]],
        operation: str,
        *,
        accept: int | None = None,
        resource: str = "topic",
    ) -> dict[str, Any]:
        """Return the results of a request by name; those with the accepted error are empty."""

        def request(timeout_s: float) -> dict[str, Any]:
            names = {getattr(key, "name", key): future for key, future in ask(timeout_s).items()}
            return {
                name: self._result(future, timeout_s + FUTURE_S, Right(operation, resource, name), accept)
                for name, future in names.items()
            }

        return retry(request, self._patience, self._problems, serve=lambda: self._client.poll(0))

    def _result(self, future: "Future[Any]", timeout_s: float, right: Right, accept: int | None) -> Any:  # noqa: ANN401
        try:
            return future.result(timeout=timeout_s) or {}
        except FutureTimeoutError as late:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from late
        except KafkaException as cause:
            error = error_of(cause)
            if error.code() == accept:
                return {}
            if kind_of(error) == AUTHORIZATION:
                raise failed(self._settings, error, right) from cause
            raise


def _unknown_config(error: BrokerUnavailableError) -> str | None:
    """Return the name of the configuration that the broker does not know, if that is the error."""
    found = re.search(r"unknown topic config name:? (\S+)", str(error), re.IGNORECASE)
    return found[1] if found else None


def partition_counts(
    client: Any,  # noqa: ANN401 - an administrator's, consumer's or producer's client
    patience: Patience,
    problems: Problems,
    *,
    serve: Callable[[], object] = lambda: None,
) -> Mapping[str, int]:
    """Return the number of partitions of every existing topic; see ``retry`` for the errors."""
    found = retry(
        lambda timeout_s: ask_metadata(client, patience, timeout_s), patience, problems, serve=serve
    )
    return counts_of(found)


def counts_of(metadata: ClusterMetadata) -> Mapping[str, int]:
    """Return the number of partitions of every topic in the metadata of a cluster."""
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def wait_for_topics(
    client: Any,  # noqa: ANN401 - as above
    names: Iterable[str],
    patience: Patience,
    problems: Problems,
) -> None:
    """Wait until the named topics exist: a new topic appears in the brokers' metadata with a short delay.

    Raises:
        TopicError: a topic did not appear within ``broker_timeout_s``.
        BrokerUnavailableError, BrokerRefusedError, StoppedError: as for ``retry``.
    """
    end = time.monotonic() + problems.settings.broker_timeout_s
    while missing := sorted(set(names) - partition_counts(client, patience, problems).keys()):
        if time.monotonic() > end:
            raise TopicError(topics.missing_text(missing, problems.settings))
        patience.pause(METADATA_POLL_S)
