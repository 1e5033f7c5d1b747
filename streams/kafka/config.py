"""Configure librdkafka clients, and turn their errors into ours."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerUnavailableError, SettingsError
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")
Config = dict[str, Any]
Client = TypeVar("Client")

# The delivery guarantees depend on the *_REQUIRED values: a user cannot override them. The rest are defaults.

PRODUCER_REQUIRED = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",  # librdkafka's default differs from Java for 159 of 200 test keys
    "delivery.report.only.error": True,  # no Python callback for each delivered record
}
PRODUCER_DEFAULTS = {
    "message.max.bytes": 2_000_000,  # a dead letter adds its headers to a record of the largest size
    "queue.buffering.max.messages": 500_000,
}
REPLY_PRODUCER_DEFAULTS = {
    "topic.metadata.propagation.max.ms": "1000",  # when a missing topic is reported; default 30 s
}

CONSUMER_REQUIRED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,  # the end of a partition is an event: silence does not tell it
}
CONSUMER_DEFAULTS = {
    "partition.assignment.strategy": "range",  # one member owns partition p of every topic, unlike sticky
    "session.timeout.ms": 10_000,  # the other members take over a killed member's partitions after this
    "heartbeat.interval.ms": 3_000,
    "fetch.wait.max.ms": 500,
    "fetch.max.bytes": 16 << 20,
    "max.partition.fetch.bytes": 4 << 20,
    "queued.max.messages.kbytes": 64 << 10,
    "fetch.queue.backoff.ms": 20,  # the default of 1 s leaves a fast reader idle between two fetches
}


class LastError:
    """Error callback of a client: keeps the last background error, which explains a later failure."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, error: KafkaError) -> None:
        """Log an error if it is new or fatal; librdkafka retries everything that is not fatal."""
        text = error.str()
        level = logging.WARNING if error.fatal() or text != self.text else logging.DEBUG
        log.log(level, "broker problem code=%s reason=%s", error.name(), text)
        self.text = text


def client_config(
    settings: KafkaSettings,
    last_error: LastError,
    defaults: Mapping[str, object],
    required: Mapping[str, object],
) -> Config:
    """Build the librdkafka configuration of a client.

    Args:
        settings: broker addresses, and the librdkafka settings that the user passes through.
        last_error: called with background errors.
        defaults: our choices; the user's settings override them.
        required: values that the delivery guarantees depend on; they override the user's settings.
    """
    base = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "dch",
        "error_cb": last_error,
        "logger": log,
    }
    return {**base, **defaults, **settings.kafka, **required}


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


def broker_error(
    settings: KafkaSettings, last_error: LastError, cause: KafkaException
) -> BrokerUnavailableError:
    """Return the error to raise for a failed call: no broker answered, or the broker refused."""
    servers = settings.bootstrap_servers
    if not is_unreachable(cause):
        return BrokerUnavailableError(f"the broker at {servers} refused: {error_text(cause)}")
    details = f" ({last_error.text})" if last_error.text else ""
    return BrokerUnavailableError(
        f"no broker at {servers} answered within {settings.broker_timeout_s:g} s{details}; is it running, "
        "and is --bootstrap-servers right? to start one here: dch broker start --data DIR"
    )


def is_unreachable(error: KafkaException) -> bool:
    """Tell whether an error means that no broker answered."""
    codes = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
    return error.args[0].code() in codes


def error_text(error: KafkaException) -> str:
    """Return librdkafka's description of an error."""
    return str(error.args[0].str())
