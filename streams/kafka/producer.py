"""Write records: idempotent, acknowledged by all replicas, partitioned as Java clients partition them."""

import logging
import time
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import DeliveryError, TimeRefusedError
from streams.kafka.config import (
    PRODUCER_DEFAULTS,
    PRODUCER_REQUIRED,
    REPLY_PRODUCER_DEFAULTS,
    LastError,
    client_config,
    create_client,
    error_text,
)
from streams.kafka.records import Output
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")
UNASSIGNED = -1  # librdkafka's constant for a partition that the key decides

REPLY_FLUSH_S = 0.2
"""Longest flush of replies. A healthy broker takes less; a missing topic must not delay the other replies."""

LOG_EVERY = 1000
"""One in this many failed replies is logged."""


class Sink(Protocol):
    """Receives records to be written."""

    def send(self, output: Output) -> None:
        """Queue a record."""

    def flush(self) -> None:
        """Wait until every record is acknowledged, or raise."""


class Producer:
    """Send records and wait for their acknowledgements. Any thread may send.

    Args:
        settings: broker addresses and timeouts.
        linger_ms: milliseconds to wait for more records before sending a batch; None takes the setting.
        must_deliver: whether an undelivered record is an error. False for replies: a client that names a
            missing reply topic must not stop a worker.
    """

    def __init__(
        self, settings: KafkaSettings, *, linger_ms: float | None = None, must_deliver: bool = True
    ) -> None:
        self._timeout_s = settings.delivery_timeout_s
        self._flush_s = self._timeout_s if must_deliver else REPLY_FLUSH_S
        self._must_deliver = must_deliver
        self._failed: list[str] = []
        self._is_time_refused = False
        self.n_failed = 0
        defaults = (PRODUCER_DEFAULTS if must_deliver else PRODUCER_DEFAULTS | REPLY_PRODUCER_DEFAULTS) | {
            "linger.ms": settings.linger_ms if linger_ms is None else linger_ms,
            "delivery.timeout.ms": int(self._timeout_s * 1000),
            "on_delivery": self._on_delivery,
        }
        config = client_config(settings, LastError(), defaults, PRODUCER_REQUIRED)
        self._client = create_client(ConfluentProducer, config)

    @property
    def n_waiting(self) -> int:
        """Number of records in flight: neither acknowledged nor given up yet."""
        return len(self._client)

    def send(self, output: Output) -> None:
        """Queue a record. It is on the broker only after ``flush``.

        Raises:
            DeliveryError: the queue stayed full for the delivery timeout.
        """
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._produce(output)
            except BufferError:
                if time.monotonic() > end:
                    raise DeliveryError(
                        f"the producer queue stayed full for {self._timeout_s:g} s; is a broker down?"
                    ) from None
                self._client.poll(0.05)
            except KafkaException as error:
                self._fail(output.topic, error_text(error))
                return None

    def poll(self) -> None:
        """Process the delivery failures so far, without waiting."""
        self._client.poll(0)

    def flush(self) -> None:
        """Wait until every record is acknowledged; without ``must_deliver`` for ``REPLY_FLUSH_S`` at most.

        Raises:
            DeliveryError: a record was not delivered; do not commit anything that depends on it.
            TimeRefusedError: it is stamped ahead of the broker's clock.
        """
        left = self._client.flush(self._flush_s)
        if left and self._must_deliver:
            raise DeliveryError(
                f"{left} records were not acknowledged within {self._timeout_s:g} s; is a broker down?"
            )
        if self._failed:
            failed, self._failed = self._failed, []
            kind = TimeRefusedError if self._is_time_refused else DeliveryError
            raise kind(f"{len(failed)} records were not delivered, the first to {failed[0]}")

    def close(self) -> None:
        """Wait up to a second for the last records; ignore failures."""
        self._client.flush(1.0)

    def _produce(self, output: Output) -> None:
        if not output.headers and output.timestamp_ms is None:  # positional arguments are 4 times faster
            partition = UNASSIGNED if output.partition is None else output.partition
            self._client.produce(output.topic, output.value, output.key, partition)
            return
        optional: dict[str, Any] = {"partition": output.partition, "timestamp": output.timestamp_ms}
        self._client.produce(
            output.topic,
            value=output.value,
            key=output.key,
            headers=list(output.headers),
            **{name: value for name, value in optional.items() if value is not None},
        )

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._is_time_refused |= error.code() == KafkaError.INVALID_TIMESTAMP
            self._fail(str(message.topic()), error.str())

    def _fail(self, topic: str, reason: str) -> None:
        self.n_failed += 1
        if self._must_deliver:
            self._failed.append(f"topic {topic}: {reason}")
        elif self.n_failed % LOG_EVERY == 1:
            log.warning("reply not delivered n=%d topic=%s reason=%s", self.n_failed, topic, reason)
