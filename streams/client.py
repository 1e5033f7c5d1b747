"""Ask a question over Kafka and wait for its reply, as any client would."""

import time
import uuid
from types import TracebackType

from streams import topics
from streams.errors import ReplyTimeout, TopicError
from streams.kafka import Admin, Consumer, Partition, Producer
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
    """One who asks; its replies come to a partition of ``recommendations`` that it reads from now on.

    Not for several threads at once.

    Raises:
        TopicError: the topics of requests and replies are not there.
        BrokerUnavailableError: no broker answers.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._reply_topic = settings.topic(topics.RECOMMENDATIONS.name)
        there = Admin(settings).partitions()
        for name in (self._reply_topic, settings.topic(topics.REQUESTS.name)):
            if name not in there:
                raise TopicError(topics.missing_sentence([name], settings))
        me = uuid.uuid4()
        self._place = Partition(self._reply_topic, me.int % there[self._reply_topic])
        self._consumer = Consumer(
            settings, group=f"{settings.prefix}asker-{me.hex[:8]}", start="latest", fill_s=0
        )
        # The end as of now, by number: "latest" would be looked up after the request was sent, and miss it.
        self._consumer.assign(self._consumer.ends([self._place]))
        self._producer = Producer(settings, linger_ms=0)

    def ask(self, request: RecommendRequest) -> RecommendReply | ErrorReply:
        """Send a request and return the reply.

        Raises:
            ReplyTimeout: none came in time.
            DeliveryError: the request could not be sent.
            BadRecord: the reply is none of ours.
        """
        correlation = uuid.uuid4().bytes
        key = request.user.encode() if request.user is not None else None
        headers = request_headers(correlation, self._reply_topic, self._place.partition)
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
            f"is a worker running at {self._settings.bootstrap_servers}? to start one: dch worker{prefix}"
        )

    def close(self) -> None:
        """Stop listening."""
        self._consumer.close()
        self._producer.close()

    def __enter__(self) -> "RecommendClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
