"""What every client is told, and what it says when no broker answers."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerUnavailableError, SettingsError
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")
Config = dict[str, Any]
Client = TypeVar("Client")

# *_FIXED: what our guarantees rest on, not to be set otherwise; the other two are defaults.

PRODUCER_FIXED = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",  # librdkafka's own default puts 159 of 200 test keys elsewhere than Java
    "delivery.report.only.error": True,  # no call into Python for each record that arrives
}
PRODUCER = {
    "message.max.bytes": 2_000_000,  # a dead letter is the largest record a topic takes, and its reason
    "queue.buffering.max.messages": 500_000,
}
REPLIES = {
    "topic.metadata.propagation.max.ms": "1000",  # its 30 s: how long to wait for a topic that is not there
}

CONSUMER_FIXED = {"enable.auto.commit": False, "enable.auto.offset.store": False}
CONSUMER = {
    "partition.assignment.strategy": "range",  # partition p of every topic to one member: sticky does not
    "session.timeout.ms": 10_000,  # a killed member's partitions are taken over after this
    "heartbeat.interval.ms": 3_000,
    "fetch.wait.max.ms": 500,
    "fetch.max.bytes": 16 << 20,
    "max.partition.fetch.bytes": 4 << 20,
    "queued.max.messages.kbytes": 64 << 10,
    "fetch.queue.backoff.ms": 20,  # its 1 s would leave a fast reader idle between two fetches
}


class Errors:
    """What librdkafka reports beside the calls: kept to explain a failure, logged when it is new."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, error: KafkaError) -> None:
        """Note an error; librdkafka goes on trying by itself unless it is fatal."""
        text = error.str()
        level = logging.WARNING if error.fatal() or text != self.last else logging.DEBUG
        log.log(level, "broker problem code=%s reason=%s", error.name(), text)
        self.last = text


def configure(
    settings: KafkaSettings, errors: Errors, ours: Mapping[str, object], fixed: Mapping[str, object]
) -> Config:
    """Build the configuration of a client.

    Args:
        settings: addresses, and settings of librdkafka that the user passes through.
        errors: told of problems.
        ours: what we choose and the user may choose otherwise.
        fixed: what our guarantees rest on; it wins over the user.
    """
    base = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "dch",
        "error_cb": errors,
        "logger": log,
    }
    return {**base, **ours, **settings.kafka, **fixed}


def made(client: Callable[[Config], Client], config: Config) -> Client:
    """Make a client.

    Raises:
        SettingsError: librdkafka does not know a setting, or not this value.
    """
    try:
        return client(config)
    except KafkaException as error:
        raise SettingsError(
            f"librdkafka refused a setting: {text_of(error)}; see --kafka and DCH_KAFKA_..."
        ) from error


def unavailable(settings: KafkaSettings, errors: Errors, cause: KafkaException) -> BrokerUnavailableError:
    """Return the error of a client that nobody answered."""
    where = settings.bootstrap_servers
    if not is_silence(cause):
        return BrokerUnavailableError(f"the broker at {where} refused: {text_of(cause)}")
    told = f" ({errors.last})" if errors.last else ""
    return BrokerUnavailableError(
        f"no broker at {where} answered within {settings.broker_timeout_s:g} s{told}; is it running, and is "
        "--bootstrap-servers right? to start one here: dch broker start --data DIR"
    )


def is_silence(error: KafkaException) -> bool:
    """Say whether an error means that nobody answered."""
    silent = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
    return error.args[0].code() in silent


def text_of(error: KafkaException) -> str:
    """Return what librdkafka says about an error."""
    return str(error.args[0].str())
