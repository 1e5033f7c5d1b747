"""Configure librdkafka clients."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from streams.errors import SettingsError
from streams.kafka.broker_errors import error_text
from streams.kafka.problems import Problems
from streams.kafka.setting_scopes import CONSUMERS_ONLY, PRODUCERS_ONLY, without
from streams.settings import KafkaSettings

Config = dict[str, Any]
Client = TypeVar("Client")

PRODUCER_DEFAULTS = {
    "message.max.bytes": 2_000_000,  # a dead letter adds its headers to a record of the largest size
    "queue.buffering.max.messages": 500_000,
}
REPLY_PRODUCER_DEFAULTS = {
    "batch.size": 65_536,  # a topic that refuses large batches must not refuse small replies
    "topic.metadata.propagation.max.ms": "1000",  # when a missing topic is reported; default 30 s
}

CONSUMER_DEFAULTS = {
    "session.timeout.ms": 10_000,  # the other members take over a killed member's partitions after this
    "heartbeat.interval.ms": 3_000,
    "fetch.wait.max.ms": 500,
    "fetch.max.bytes": 16 << 20,
    "max.partition.fetch.bytes": 4 << 20,
    "queued.max.messages.kbytes": 64 << 10,
    "fetch.queue.backoff.ms": 20,  # the default of 1 s leaves a fast reader idle between two fetches
}

MIN_BETWEEN_POLLS_S = 300.0
"""The default of ``max.poll.interval.ms``. A worker may prepare a model between two polls, for a minute."""

AFTER_PATIENCE_S = 60.0
"""How much longer than the patience a member may go without a poll: the rest of its batch takes time, too."""

MAX_BETWEEN_POLLS_S = 86_400.0
"""The largest ``max.poll.interval.ms`` of librdkafka."""


def consumer_config(
    settings: KafkaSettings, problems: Problems, own: Mapping[str, object], fixed: Mapping[str, object]
) -> Config:
    """Build the librdkafka configuration of a consumer.

    Args:
        settings: broker addresses, and the librdkafka settings that the user passes through.
        problems: called with the errors and log lines of the client.
        own: our choices beside those of all consumers; the user's settings override them.
        fixed: values that are not defaults: ``KafkaSettings`` refuses others.
    """
    defaults = {**CONSUMER_DEFAULTS, "max.poll.interval.ms": int(between_polls_s(settings) * 1000), **own}
    return {**_base(settings, problems), **defaults, **without(settings.kafka, PRODUCERS_ONLY), **fixed}


def producer_config(
    settings: KafkaSettings, problems: Problems, own: Mapping[str, object], fixed: Mapping[str, object]
) -> Config:
    """Build the librdkafka configuration of a producer or an administrator; the arguments are as above."""
    return {**_base(settings, problems), **own, **without(settings.kafka, CONSUMERS_ONLY), **fixed}


def between_polls_s(settings: KafkaSettings) -> float:
    """Return the longest time between two polls after which a member keeps its partitions.

    It is longer than the patience. Otherwise a worker that waits for the leader of one partition would lose
    its partitions, learn that with its next poll only, and answer from its old state until then.
    """
    wanted = max(MIN_BETWEEN_POLLS_S, settings.broker_patience_s + AFTER_PATIENCE_S)
    return min(wanted, MAX_BETWEEN_POLLS_S)


def _base(settings: KafkaSettings, problems: Problems) -> Config:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "dch",
        "reconnect.backoff.max.ms": 2000,  # the default of 10 s prolongs the outage of a broker by as much
        "error_cb": problems,
        "logger": problems,
    }


def create_client(factory: Callable[[Config], Client], config: Config) -> Client:
    """Create a librdkafka client.

    Raises:
        SettingsError: librdkafka does not know a setting, or refuses its value.
    """
    try:
        return factory(config)
    except KafkaException as error:
        raise SettingsError(
            f"librdkafka refused a setting: {error_text(error)}; see --kafka and DCH_KAFKA_..."
        ) from error
