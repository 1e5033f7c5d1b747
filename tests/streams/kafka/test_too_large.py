"""A record that is too large is replaced by a smaller one, whether the client or the broker refuses it."""

import hashlib

import pytest

from streams import topics
from streams.errors import BadRecord, DeliveryError
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.outbox import Outbox
from streams.kafka.records import Output, Record
from streams.settings import KafkaSettings
from tests.streams.brokers import eventually

LIMIT = 20_000
REASON = BadRecord("value", "expected JSON", reason="json")
BIG = b"x" * (LIMIT + 1)


def read(settings, topic):
    """Return the records of partition 0 of a topic."""
    place = Partition(topic, 0)
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest", fill_s=0)
    try:
        end = consumer.end_offsets([place])[place]
        consumer.assign({place: 0})
        found = []

        def done():
            found.extend(consumer.poll(0.1))
            return (consumer.position(place) or 0) >= end

        eventually(done)
        return found
    finally:
        consumer.close()


def create(settings, *names):
    config = {"max.message.bytes": str(LIMIT)}
    Admin(settings).create([topics.NewTopic(settings.topic(name), 1, 1, config) for name in names])


@pytest.mark.broker
def test_a_letter_that_the_client_refuses_is_written_without_its_value(embedded, prefix):
    settings = KafkaSettings(
        bootstrap_servers=embedded, prefix=prefix, kafka={"message.max.bytes": str(LIMIT)}
    )
    create(settings, "ratings-dlt")
    producer = Producer(settings)
    outbox = Outbox(settings, producer, group="worker")
    outbox.dead_letter(Record(prefix + "ratings", 0, 7, b"k", BIG, 1), REASON)
    outbox.dead_letter(Record(prefix + "ratings", 0, 8, b"k", b"small", 1), REASON)
    outbox.flush()
    assert [letter.value for letter in read(settings, prefix + "ratings-dlt")] == [None, b"small"]


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_letter_that_the_broker_refuses_is_written_without_its_value(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    create(settings, "ratings", "ratings-dlt")
    producer = Producer(settings)
    outbox = Outbox(settings, producer, group="worker")
    letters = [(1, BIG), (2, b"small"), (3, BIG)]
    for offset, value in letters:
        outbox.dead_letter(Record(prefix + "ratings", 0, offset, b"k", value, 1), REASON)
    outbox.flush()
    letters = [(dict(one.headers), one.value) for one in read(settings, prefix + "ratings-dlt")]
    found = {
        int.from_bytes(headers["kafka_dlt-original-offset"]): (value, headers) for headers, value in letters
    }
    assert {offset: value for offset, (value, _) in found.items()} == {1: None, 2: b"small", 3: None}
    headers = found[1][1]
    assert headers["dch-value-bytes"] == str(len(BIG)).encode()
    assert headers["dch-value-sha256"] == hashlib.sha256(BIG).hexdigest().encode()
    assert headers["kafka_dlt-exception-message"].endswith(b"expected JSON")


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_batch_that_the_broker_refuses_is_written_record_by_record(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix, linger_ms=100)
    create(settings, "ratings")
    producer = Producer(settings)
    topic = settings.topic("ratings")
    values = [f"{at:02}".encode() * 2_000 for at in range(20)]  # 80 kB in one batch
    for at, value in enumerate(values):
        producer.send(Output(topic, b"k", value, headers=[("n", b"%d" % at)] if at % 2 else ()))
    producer.flush()
    found = read(settings, topic)
    assert sorted(one.value for one in found) == values
    assert {one.value: list(one.headers) for one in found} == {
        value: [("n", b"%d" % at)] if at % 2 else [] for at, value in enumerate(values)
    }


@pytest.mark.real_broker
@pytest.mark.broker
def test_what_has_nothing_smaller_is_an_error_that_names_the_record_and_the_setting(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    create(settings, "item-codes")
    producer = Producer(settings)
    producer.send(Output(settings.topic("item-codes"), b"i1", BIG))
    with pytest.raises(
        DeliveryError, match=r"item-codes: the record with key b'i1' has 20003 bytes.*max\.message"
    ):
        producer.flush()


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_reply_that_is_too_large_is_replaced_without_an_error(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    create(settings, "recommendations")
    topic = settings.topic("recommendations")
    replies = Producer(settings, linger_ms=0, reply_timeout_s=30)
    tiny = Output(topic, b"k", b"error")
    middle = Output(topic, b"k", BIG + b"y", if_refused=lambda: tiny)
    replies.send(Output(topic, b"k", BIG, headers=[("h", b"1")], if_refused=lambda: middle))

    def is_sent():
        replies.flush()
        return replies.n_waiting == 0 and [one.value for one in read(settings, topic)] == [b"error"]

    eventually(is_sent)
    assert replies.n_failed == 0
