"""Write records: idempotent, acknowledged by all replicas, partitioned as Java clients partition them."""

import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import DeliveryError, StoppedError, StreamError, TimeRefusedError
from streams.kafka.broker_errors import AUTHORIZATION, Right, error_of, failed, kind_of
from streams.kafka.config import PRODUCER_DEFAULTS, REPLY_PRODUCER_DEFAULTS, create_client, producer_config
from streams.kafka.patience import ATTEMPT_S, STOP_S, Patience, ask_metadata
from streams.kafka.problems import Problems
from streams.kafka.records import Output
from streams.kafka.stuck_clients import StuckClients, abandon
from streams.settings import KafkaSettings
from streams.settings.fixed_values import PRODUCER_FIXED

log = logging.getLogger("streams.kafka")
UNASSIGNED = -1  # librdkafka's constant for a partition that the key decides

REPLY_FLUSH_S = 0.2
"""Longest flush of replies. A healthy broker takes less; a missing topic must not delay the other replies."""

FLUSH_S = 1.0
"""Time between two looks at the progress of a flush."""

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

    A record that is too large, for the client or for the broker, or that the broker refuses as stamped ahead,
    is replaced by what its ``if_refused`` returns. A broker that refuses a batch may take its records one by
    one, so ``flush`` tries that first.

    Args:
        settings: broker addresses and timeouts.
        linger_ms: milliseconds to wait for more records before sending a batch; None takes the setting.
        reply_timeout_s: given for replies: they may wait this long, and an undelivered one is no error: a
            client that names a missing reply topic must not stop a worker.
        patience: how long other records may wait while a broker is away; None is ``broker_patience_s``.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        linger_ms: float | None = None,
        reply_timeout_s: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._settings = settings
        self._patience = patience or Patience(settings.broker_patience_s)
        self._must_deliver = reply_timeout_s is None
        self._timeout_s = self._patience.limit_s if reply_timeout_s is None else reply_timeout_s
        self._failed: list[str] = []
        self._topic = ""  # of the last record
        self._refusal: StreamError | None = None
        self._is_time_refused = False
        self._refused: list[Output] = []  # in batches that the broker refused
        self.n_failed = 0
        defaults = PRODUCER_DEFAULTS | ({} if self._must_deliver else REPLY_PRODUCER_DEFAULTS)
        own = {
            "linger.ms": settings.linger_ms if linger_ms is None else linger_ms,
            "delivery.timeout.ms": int(self._timeout_s * 1000),
            "on_delivery": self._on_delivery,
        }
        self._problems = Problems(settings, self._patience.suspect)
        config = producer_config(settings, self._problems, defaults | own, PRODUCER_FIXED)
        create = partial(create_client, ConfluentProducer, config)
        self._client, self._stuck = create(), StuckClients(create)
        self._has_timed_out = False  # a reply, and none was delivered since
        self._n_delivered_then: int | None = None  # by the first poll after that
        self._n_queued = self._n_returned = 0  # librdkafka took it; it was not delivered

    @property
    def n_waiting(self) -> int:
        """Number of records in flight: neither acknowledged nor given up yet."""
        return len(self._client)

    def send(self, output: Output) -> None:
        """Queue a record. It is on the broker only after ``flush``.

        Raises:
            DeliveryError: the queue stayed full for too long.
            StoppedError: the process was told to stop, and the queue stays full.
        """
        wait, self._topic = self._waiting(), output.topic
        while True:
            try:
                return self._produce(output)
            except BufferError:
                next(wait)
                self._client.poll(0.05)
            except KafkaException as error:
                if not is_too_large(error.args[0]):
                    return self._fail(output.topic, error_of(error))
                instead = self._instead(output)
                return None if instead is None else self.send(instead)

    def poll(self) -> None:
        """Process the delivery failures so far, without waiting.

        Raises:
            BrokerRefusedError, BrokerUnavailableError: no record can be written any more.
        """
        self._problems.serve(lambda: self._client.poll(0), Right("Write", "topic", self._topic))
        if self._has_timed_out and self._has_delivered_since():
            self._has_timed_out = False
        if self._has_timed_out and (found := self._stuck.replacement(self._client, self._topic)):
            abandon(self._client)  # with replies that are late already
            self._client, self._has_timed_out = found, False
            self._n_queued = self._n_returned = 0

    def _has_delivered_since(self) -> bool:
        """Return whether a reply was delivered since one has timed out: librdkafka reports failures alone."""
        n_delivered = self._n_queued - self._n_returned - len(self._client)
        if self._n_delivered_then is None:
            self._n_delivered_then = n_delivered
        return n_delivered > self._n_delivered_then

    def flush(self) -> None:
        """Wait until every record is acknowledged, also while a broker is away; replies: ``REPLY_FLUSH_S``.

        Raises:
            DeliveryError: a record was not delivered; do not commit anything that depends on it.
            TimeRefusedError: it is stamped ahead of the broker's clock.
            BrokerRefusedError: the right to write is missing.
            BrokerUnavailableError: the client failed for good, also one of replies.
            StoppedError: the process was told to stop, and records are still not acknowledged.
        """
        if self._must_deliver:
            self._flush_all()
        else:
            self._flush_for(REPLY_FLUSH_S)
        self._send_refused()
        if self._failed:
            found, self._failed = self._failed, []
            if self._refusal is not None:
                raise self._refusal
            kind = TimeRefusedError if self._is_time_refused else DeliveryError
            raise kind(f"{len(found)} records were not delivered, the first to {found[0]}")

    def _flush_all(self) -> None:
        n_left, wait = len(self._client), self._waiting()
        while left := self._flush_for(FLUSH_S):
            next(wait)
            if left == n_left or self._patience.is_suspect:  # no progress
                with suppress(KafkaException):  # the patience has noted it
                    ask_metadata(self._client, self._patience, ATTEMPT_S)
            n_left = left

    def _flush_for(self, seconds: float) -> int:
        """Flush and return how many records are left.

        Raises:
            BrokerRefusedError, BrokerUnavailableError: no record can be written any more.
        """
        right = Right("Write", "topic", self._topic)
        return int(self._problems.serve(lambda: self._client.flush(seconds), right))

    def _waiting(self) -> Iterator[None]:
        """Yield as long as acknowledgements may still arrive in time.

        Raises:
            DeliveryError: they took too long.
            StoppedError: the process was told to stop a moment ago.
        """
        now, stop_at = self._patience.now, math.inf
        end = now() + self._timeout_s
        while now() < min(end, stop_at):
            yield
            if self._patience.is_stopping:
                stop_at = min(stop_at, now() + STOP_S)
        left = len(self._client)
        if now() >= stop_at:
            raise StoppedError(
                f"stopped while {left} records were not acknowledged; nothing more was committed"
            )
        raise DeliveryError(
            f"{left} records were not acknowledged within {self._timeout_s:g} s; is a broker down?"
        )

    def close(self) -> None:
        """Wait up to a second for the last records; ignore failures."""
        with self._patience.call():
            self._client.flush(1.0)

    def _produce(self, output: Output) -> None:
        if not output.headers and output.timestamp_ms is None and output.if_refused is None:
            # Positional arguments are 4 times faster.
            partition = UNASSIGNED if output.partition is None else output.partition
            self._client.produce(output.topic, output.value, output.key, partition)
            self._n_queued += 1
            return
        optional: dict[str, Any] = {"partition": output.partition, "timestamp": output.timestamp_ms}
        self._client.produce(
            output.topic,
            value=output.value,
            key=output.key,
            headers=list(output.headers),
            on_delivery=partial(self._on_delivery_of, output),  # librdkafka gives no headers back
            **{name: value for name, value in optional.items() if value is not None},
        )
        self._n_queued += 1

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            output = Output(str(message.topic()), message.key(), message.value(), message.partition())
            self._on_delivery_of(output, error, message)

    def _on_delivery_of(self, output: Output, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        self._n_returned += 1
        is_ahead = error.code() == KafkaError.INVALID_TIMESTAMP
        if is_too_large(error) or (is_ahead and output.if_refused is not None):
            self._refused.append(output)
            return
        self._is_time_refused |= is_ahead
        self._fail(output.topic, error)

    def _take_refused(self) -> list[Output]:
        refused, self._refused = self._refused, []
        return refused

    def _send_refused(self) -> None:
        """Send refused records one by one; of a reply only what replaces it, as its batch was small."""
        for output in self._take_refused():
            if self._must_deliver:
                self._send_alone(output)
            elif (instead := self._instead(output)) is not None:
                self.send(instead)

    def _send_alone(self, output: Output) -> None:
        """Send one record in a batch of its own; if that is refused too, send what replaces it."""
        self.send(output)
        self._flush_all()
        for refused in self._take_refused():
            if (instead := self._instead(refused)) is not None:
                self._send_alone(instead)

    def _instead(self, output: Output) -> Output | None:
        """Return what to write instead of a refused record; None, and a failure, if nothing is."""
        if output.if_refused is not None:
            return output.if_refused()
        error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, _too_large_text(output))
        self._fail(output.topic, error)
        return None

    def _fail(self, topic: str, error: KafkaError) -> None:
        self.n_failed += 1
        if not self._must_deliver:
            if error.code() == KafkaError._MSG_TIMED_OUT:
                self._has_timed_out, self._n_delivered_then = True, None
            if self.n_failed % LOG_EVERY == 1:
                log.warning("reply not delivered n=%d topic=%s reason=%s", self.n_failed, topic, error.str())
            return
        self._failed.append(f"topic {topic}: {error.str()}")
        if kind_of(error) == AUTHORIZATION:
            # Write on any topic includes the right to be idempotent, which is one on the cluster.
            self._refusal = failed(self._settings, error, Right("Write", "topic", topic))


def is_too_large(error: KafkaError) -> bool:
    """Tell whether a record, or a batch of records, is larger than the client or the broker takes."""
    return error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)


def _too_large_text(output: Output) -> str:
    n_bytes = len(output.key or b"") + len(output.value or b"")
    return (
        f"the record with key {(output.key or b'')[:60]!r} has {n_bytes} bytes, which is more than "
        "max.message.bytes of the topic, or message.max.bytes of the client"
    )
