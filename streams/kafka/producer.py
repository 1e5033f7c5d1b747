"""Write records: idempotent, acknowledged by all replicas, placed as Java clients place them."""

import logging
import time
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import DeliveryError
from streams.kafka.config import PRODUCER, PRODUCER_FIXED, REPLIES, Errors, configure, made, text_of
from streams.kafka.records import Output
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")
UNASSIGNED = -1  # librdkafka's word for: chosen from the key
REPLY_FLUSH_S = (
    0.2  # longer than a healthy broker takes; a reply to a missing topic must not hold up the rest
)
LOG_EVERY = 1000


class Sink(Protocol):
    """Where records go."""

    def send(self, output: Output) -> None:
        """Queue a record."""

    def flush(self) -> None:
        """Wait until every record sent is safe, or raise."""


class Producer:
    """Send records and make sure of them. Any thread may send.

    Args:
        settings: addresses and timeouts.
        linger_ms: how long a record waits for company; None takes the setting.
        must_deliver: whether a record that was not delivered is an error. False for replies: an asker who
            names a topic that is not there must not stop a worker.
    """

    def __init__(
        self, settings: KafkaSettings, *, linger_ms: float | None = None, must_deliver: bool = True
    ) -> None:
        self._timeout_s = settings.delivery_timeout_s
        self._flush_s = self._timeout_s if must_deliver else REPLY_FLUSH_S
        self._must_deliver = must_deliver
        self._failed: list[str] = []
        self.n_failed = 0
        ours = (PRODUCER if must_deliver else PRODUCER | REPLIES) | {
            "linger.ms": settings.linger_ms if linger_ms is None else linger_ms,
            "delivery.timeout.ms": int(self._timeout_s * 1000),
            "on_delivery": self._note,
        }
        self._client = made(ConfluentProducer, configure(settings, Errors(), ours, PRODUCER_FIXED))

    @property
    def n_waiting(self) -> int:
        """How many records were neither acknowledged nor given up yet."""
        return len(self._client)

    def send(self, output: Output) -> None:
        """Queue a record; it is on the broker after ``flush``.

        Raises:
            DeliveryError: the queue stayed full, or the record is too large.
        """
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._produce(output)
            except BufferError:
                if time.monotonic() > end:
                    raise DeliveryError(
                        f"the queue of the producer is full for {self._timeout_s:g} s"
                    ) from None
                self._client.poll(0.05)
            except KafkaException as error:
                self._fail(output.topic, text_of(error))
                return None

    def poll(self) -> None:
        """Take note of failures so far, without waiting."""
        self._client.poll(0)

    def flush(self) -> None:
        """Wait until every record sent is acknowledged; if they need not be, for a moment only.

        Raises:
            DeliveryError: one was not; nothing that depends on it may be committed.
        """
        left = self._client.flush(self._flush_s)
        if left and self._must_deliver:
            raise DeliveryError(
                f"{left} records were not acknowledged within {self._timeout_s:g} s; is a broker down?"
            )
        if self._failed:
            failed, self._failed = self._failed, []
            raise DeliveryError(f"{len(failed)} records were not delivered, the first: {failed[0]}")

    def close(self) -> None:
        """Give the last records a moment to leave, without a complaint."""
        self._client.flush(1.0)

    def _produce(self, output: Output) -> None:
        if not output.headers and output.timestamp_ms is None:  # arguments by place: a quarter of the time
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

    def _note(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(str(message.topic()), error.str())

    def _fail(self, topic: str, reason: str) -> None:
        self.n_failed += 1
        if self._must_deliver:
            self._failed.append(f"topic {topic}: {reason}")
        elif self.n_failed % LOG_EVERY == 1:
            log.warning("not delivered n=%d topic=%s reason=%s", self.n_failed, topic, reason)
