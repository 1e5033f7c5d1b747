"""Clients on both kinds of broker: what is sent arrives, what is applied is committed."""

import pytest

from streams import topics
from streams.errors import BrokerUnavailableError, DeliveryError, TopicError
from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from tests.streams.brokers import eventually


@pytest.fixture
def ratings(settings):
    admin = Admin(settings)
    topics.create(admin, settings)
    yield settings.topic("ratings")
    admin.delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


def send(settings, topic, keys, **kwargs):
    producer = Producer(settings)
    for key in keys:
        producer.send(Output(topic, key.encode(), b"{}", **kwargs))
    producer.flush()


def read(consumer, n, within_s=20):
    found = []

    def enough():
        found.extend(consumer.poll())
        return len(found) >= n

    eventually(enough, within_s)
    return found


def test_topics_are_created_once_and_are_as_defined(settings):
    admin = Admin(settings)
    made = topics.create(admin, settings)
    assert len(made) == len(topics.EVERY_TOPIC)
    eventually(lambda: not topics.check(admin, settings))
    assert topics.create(admin, settings) == []
    assert admin.partitions()[settings.topic("ratings")] == 4
    config = admin.configs([settings.topic("ratings"), settings.topic("users")])
    assert config[settings.topic("ratings")]["retention.ms"] == "-1"
    assert config[settings.topic("users")]["cleanup.policy"] == "compact"
    admin.delete(made)


def test_a_record_arrives_whole_in_its_home_partition(settings, ratings):
    headers = [("kafka_correlationId", b"\x00\xff" * 8), ("empty", b""), ("none", None)]
    producer = Producer(settings)
    producer.send(Output(ratings, b"u1", b"\x00\xff", headers=headers, timestamp_ms=1_700_000_000_123))
    producer.send(Output(ratings, b"u2", None))
    producer.send(Output(ratings, b"u1", b"", partition=3))
    producer.flush()
    consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
    consumer.assign({Partition(ratings, partition): BEGINNING for partition in range(4)})
    by_partition = {record.partition: record for record in read(consumer, 3)}
    consumer.close()
    first = by_partition[partition_for(b"u1", 4)]
    assert (first.key, first.value, first.timestamp_ms) == (b"u1", b"\x00\xff", 1_700_000_000_123)
    assert list(first.headers) == headers
    assert by_partition[partition_for(b"u2", 4)].value is None
    assert by_partition[3].value == b""


def test_what_was_committed_is_not_read_again_and_the_rest_is(settings, ratings):
    send(settings, ratings, ["a", "b", "c"], partition=0)
    place = Partition(ratings, 0)

    def member():
        consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest", max_records=2)
        consumer.subscribe([ratings])
        return consumer

    first = member()
    assert [record.key for record in read(first, 2)] == [b"a", b"b"]
    assert first.lag() == {place: 1}
    first.commit()
    assert first.committed([place]) == {place: 2}
    assert first.ends([place]) == {place: 3}
    assert first.position(place) == 2
    first.close()
    second = member()
    assert [record.key for record in read(second, 1)] == [b"c"]
    second.close()


def test_a_member_may_begin_at_the_beginning_whatever_was_committed(settings, ratings):
    send(settings, ratings, ["a", "b"], partition=0)
    seen = []

    def assigned(partitions):
        seen.append(sorted(partitions))
        return dict.fromkeys(partitions, BEGINNING)

    for _ in range(2):
        consumer = Consumer(settings, group=settings.prefix + "worker", start="latest")
        consumer.subscribe([ratings], on_assign=assigned, on_revoke=lambda places: seen.append("revoked"))
        assert [record.key for record in read(consumer, 2)] == [b"a", b"b"]
        consumer.commit()
        consumer.close()
    assert seen == [[Partition(ratings, i) for i in range(4)], "revoked"] * 2


def test_two_members_share_the_partitions_of_every_topic_alike(settings, ratings):
    users = settings.topic("users")
    ours = {}

    def member(name):
        def assigned(partitions):
            ours[name] = sorted(partitions)
            return {}

        consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
        consumer.subscribe([ratings, users], on_assign=assigned)
        return consumer

    first, second = member("first"), member("second")
    eventually(lambda: (first.poll(0.05), second.poll(0.05)) and len(ours) == 2 and len(ours["first"]) == 4)
    for places in ours.values():
        parts = {
            topic: {place.partition for place in places if place.topic == topic} for topic in (ratings, users)
        }
        assert parts[ratings] == parts[users]
        assert len(parts[ratings]) == 2
    first.close()
    second.close()


def test_dead_letters_keep_every_byte(settings, ratings):
    from streams.errors import BadRecord
    from streams.kafka.dead_letters import dead_letter

    producer = Producer(settings)
    producer.send(Output(ratings, b"\xff", b"\x00bad", partition=3, headers=[("ce_id", b"7")]))
    producer.flush()
    consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
    consumer.assign({Partition(ratings, 3): BEGINNING})
    bad = read(consumer, 1)[0]
    letter = dead_letter(bad, BadRecord("value", "expected JSON, got b'\\x00bad'"), group="worker")
    producer.send(letter)
    producer.flush()
    consumer.assign({Partition(ratings + "-dlt", 3): BEGINNING})
    found = read(consumer, 1)[0]
    consumer.close()
    assert (found.key, found.value, found.partition) == (bad.key, bad.value, 3)
    assert list(found.headers) == list(letter.headers)


@pytest.mark.broker
def test_an_undeliverable_record_is_an_error_at_flush_unless_it_is_a_reply(embedded, prefix):
    settings = KafkaSettings(bootstrap_servers=embedded, prefix=prefix, delivery_timeout_s=2)
    producer = Producer(settings)
    producer.send(Output(prefix + "huge", b"k", b"x" * 3_000_000))
    with pytest.raises(DeliveryError, match=r"1 records were not delivered, the first: topic .*-huge"):
        producer.flush()
    producer.flush()  # told once
    replies = Producer(settings, must_deliver=False)
    replies.send(Output(prefix + "huge", b"k", b"x" * 3_000_000))
    replies.flush()
    assert replies.n_failed == 1


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_reply_to_a_topic_that_is_not_there_is_given_up_without_holding_up_the_rest(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    Admin(settings).create([topics.NewTopic(prefix + "replies", 1, -1)])
    replies = Producer(settings, linger_ms=0, must_deliver=False)
    replies.send(Output(prefix + "nowhere", b"k", b"lost"))
    replies.send(Output(prefix + "replies", b"k", b"kept"))
    replies.flush()
    assert replies.n_failed == 0  # it was not waited for
    consumer = Consumer(settings, group=prefix + "asker", start="earliest", fill_s=0)
    consumer.assign({Partition(prefix + "replies", 0): BEGINNING})
    assert [record.value for record in read(consumer, 1)] == [b"kept"]
    consumer.close()

    def given_up():
        replies.poll()
        return replies.n_failed == 1

    eventually(given_up)


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_topic_that_is_missing_is_named(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix, broker_timeout_s=2)
    consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
    with pytest.raises(TopicError, match=r"topic .*-ratings is missing; run: dch topics create"):
        consumer.subscribe([settings.topic("ratings")])
    consumer.close()


def test_when_no_broker_answers_a_sentence_says_where_and_what_to_do():
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", broker_timeout_s=0.5)
    with pytest.raises(
        BrokerUnavailableError, match=r"no broker at 127.0.0.1:1 answered within 0.5 s.*dch broker start"
    ):
        Admin(settings).partitions()


def test_what_the_guarantees_rest_on_cannot_be_set_otherwise():
    from streams.kafka.config import CONSUMER, CONSUMER_FIXED, Errors, configure

    settings = KafkaSettings(
        kafka={"enable.auto.commit": "true", "fetch.wait.max.ms": "5", "sasl.password": "x"}
    )
    config = configure(settings, Errors(), CONSUMER, CONSUMER_FIXED)
    assert config["enable.auto.commit"] is False
    assert (config["fetch.wait.max.ms"], config["sasl.password"]) == ("5", "x")
