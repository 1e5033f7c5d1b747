"""The client: it returns the reply with its own correlation id, or raises an error in time."""

import threading

import pytest

from streams import topics
from streams.client import RecommendClient
from streams.errors import ReplyTimeout, TopicError
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.messages import (
    ErrorReply,
    RecommendReply,
    RecommendRequest,
    decode_reply_address,
    decode_request,
    encode_reply,
)
from streams.settings import ClientSettings


@pytest.fixture
def service(settings):
    """Settings of a service that sends a reply with a foreign correlation id, then the proper reply."""
    admin = Admin(settings)
    topics.create(admin, settings)
    stop = threading.Event()
    consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest", fill_s=0)
    consumer.assign({Partition(settings.topic("requests"), i): 0 for i in range(4)})
    thread = threading.Thread(target=answer_all, args=(consumer, Producer(settings, linger_ms=0), stop))
    thread.start()
    yield settings
    stop.set()
    thread.join()
    admin.delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


def answer_all(consumer, producer, stop):
    while not stop.is_set():
        for record in consumer.poll(0.05):
            address = decode_reply_address(record.headers)
            foreign = [("kafka_correlationId", b"another client's")]
            for headers in (foreign, address.headers):
                producer.send(Output(address.topic, record.key, reply_to(record), address.partition, headers))
    producer.flush()
    consumer.close()


def reply_to(record):
    request = decode_request(record)
    if request.user == "bad":
        return encode_reply(ErrorReply("user: missing"))
    return encode_reply(
        RecommendReply(user=request.user, items=(), generation=7, strategy="codes", staleness_s=0.5)
    )


def test_each_request_gets_its_own_reply(service):
    with RecommendClient(service.as_role(ClientSettings)) as client:
        for user in ("u1", "u2", "u1"):
            reply = client.ask(RecommendRequest(user=user))
            assert (reply.user, reply.generation) == (user, 7)
        assert client.ask(RecommendRequest(user="bad")) == ErrorReply("user: missing")
        assert client.ask(RecommendRequest(similar_to="i1")).user is None


@pytest.mark.broker
def test_without_a_worker_the_error_says_how_to_start_one(embedded, prefix):
    settings = ClientSettings(bootstrap_servers=embedded, prefix=prefix, request_timeout_s=0.3)
    with pytest.raises(TopicError, match="is missing; run: dch topics create"):
        RecommendClient(settings)
    admin = Admin(settings)
    topics.create(admin, settings)
    with (
        RecommendClient(settings) as client,
        pytest.raises(
            ReplyTimeout,
            match=r"no reply to request \w+ within 0.3 s; is a worker.* without a model .* dch status",
        ),
    ):
        client.ask(RecommendRequest(user="u1"))
    admin.delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])
