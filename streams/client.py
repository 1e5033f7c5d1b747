"""Send a request over Kafka and wait for its reply."""

import time
import uuid
from types import TracebackType

from streams import topics
from streams.errors import ReplyTimeout, TopicError
from streams.kafka import Admin, Consumer, Partition, Patience, Producer
from streams.kafka.records import Output
from streams.messages import (
    ErrorReply,
    RecommendReply,
    RecommendRequest,
    correlation_id,
    decode_reply,
    encode_request,
    request_headers,
)
from streams.settings import ClientSettings

POLL_S = 0.05


class RecommendClient:
    """Client of the recommendation service. It receives its replies on one partition of ``recommendations``.

    Not safe for use by several threads.

    Raises:
        TopicError: the topic of requests or of replies is missing.
        BrokerUnavailableError: no broker answers.
        BrokerRefusedError: no broker lets this client in, or a right is missing.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._reply_topic = settings.topic(topics.RECOMMENDATIONS.name)
        partitions = Admin(settings).partitions()
        for name in (self._reply_topic, settings.topic(topics.REQUESTS.name)):
            if name not in partitions:
                raise TopicError(topics.missing_text([name], settings))
        client_id = uuid.uuid4()
        self._partition = Partition(self._reply_topic, client_id.int % partitions[self._reply_topic])
        group = f"{settings.prefix}client-{client_id.hex[:8]}"
        patience = Patience(settings.broker_timeout_s)
        self._consumer = Consumer(settings, group=group, start="latest", fill_s=0, patience=patience)
        # Start at the current end: "latest" would be resolved after the request was sent, and miss the reply.
        self._consumer.assign(self._consumer.end_offsets([self._partition]))
        self._producer = Producer(settings, linger_ms=0, patience=patience)

    def ask(self, request: RecommendRequest) -> RecommendReply | ErrorReply:
        """Send a request and return the reply.

        Raises:
            ReplyTimeout: no reply arrived in time.
            DeliveryError: the request could not be sent.
            BadRecord: the reply cannot be decoded.
        """
        correlation = uuid.uuid4().bytes
        key = request.user.encode() if request.user is not None else None
        headers = request_headers(correlation, self._reply_topic, self._partition.partition)
        topic = self._settings.topic(topics.REQUESTS.name)
        self._producer.send(Output(topic, key, encode_request(request), headers=headers))
        self._producer.flush()
        end = time.monotonic() + self._settings.request_timeout_s
        while time.monotonic() < end:
            for record in self._consumer.poll(POLL_S):
                if correlation_id(record.headers) == correlation:
                    return decode_reply(record.value)
        prefix = f" --prefix {self._settings.prefix}" if self._settings.prefix else ""
        raise ReplyTimeout(
            f"no reply to request {correlation.hex()[:8]} within {self._settings.request_timeout_s:g} s; "
            f"is a worker connected to {self._settings.bootstrap_servers}? to start one: dch worker{prefix}; "
            f"a worker without a model gives no reply: dch status{prefix} says whether one was published"
        )

    def close(self) -> None:
        """Close the consumer and the producer."""
        self._consumer.close()
        self._producer.close()

    def __enter__(self) -> "RecommendClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
