"""Admin, consumer and producer on both kinds of broker."""

import subprocess
import sys

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


def test_topics_are_created_once_and_match_their_definitions(settings):
    admin = Admin(settings)
    created = topics.create(admin, settings)
    assert len(created) == len(topics.EVERY_TOPIC)
    eventually(lambda: not topics.check(admin, settings))
    assert topics.create(admin, settings) == []
    assert admin.partitions()[settings.topic("ratings")] == 4
    config = admin.configs([settings.topic("ratings"), settings.topic("users")])
    assert config[settings.topic("ratings")]["retention.ms"] == "-1"
    assert config[settings.topic("users")]["cleanup.policy"] == "compact"
    admin.delete(created)


def test_a_topic_is_created_without_what_the_broker_does_not_know(settings, monkeypatch):
    admin, name = Admin(settings), settings.topic("old")
    config = {"no.such.config": "1", "retention.ms": "5"}
    with pytest.raises(BrokerUnavailableError, match=r"Unknown topic config name: no\.such\.config"):
        admin.create([topics.NewTopic(name, 1, 1, config)])
    monkeypatch.setattr(topics, "OPTIONAL", frozenset({"no.such.config"}))
    admin.create([topics.NewTopic(name, 1, 1, config)])
    assert admin.configs([name])[name]["retention.ms"] == "5"
    admin.delete([name])


def test_a_record_arrives_unchanged_in_the_owner_partition_of_its_key(settings, ratings):
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


def test_a_new_member_reads_from_the_committed_offset(settings, ratings):
    send(settings, ratings, ["a", "b", "c"], partition=0)
    partition = Partition(ratings, 0)

    def member():
        consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest", max_records=1)
        consumer.subscribe([ratings])
        return consumer

    first = member()
    assert [record.key for record in read(first, 2)] == [b"a", b"b"]
    assert first.lag()[partition].n_records == sum(one.n_records for one in first.lag().values()) == 1
    first.mark_applied()
    first.commit()
    assert first.committed([partition]) == {partition: 2}
    assert first.end_offsets([partition]) == {partition: 3}
    assert first.position(partition) == 2
    first.close()
    second = member()
    assert [record.key for record in read(second, 1)] == [b"c"]
    second.close()


def test_a_member_may_start_at_the_beginning_despite_committed_offsets(settings, ratings):
    send(settings, ratings, ["a", "b"], partition=0)
    seen = []

    def assigned(partitions):
        seen.append(sorted(partitions))
        return dict.fromkeys(partitions, BEGINNING)

    for _ in range(2):
        consumer = Consumer(settings, group=settings.prefix + "worker", start="latest")
        consumer.subscribe([ratings], on_assign=assigned, on_revoke=lambda partitions: seen.append("revoked"))
        assert [record.key for record in read(consumer, 2)] == [b"a", b"b"]
        consumer.mark_applied()
        consumer.commit()
        consumer.close()
    assert seen == [[Partition(ratings, i) for i in range(4)], "revoked"] * 2


def test_a_member_gets_the_same_partition_numbers_of_every_topic(settings, ratings):
    users = settings.topic("users")
    assigned = {}

    def member(name):
        def on_assign(partitions):
            assigned[name] = sorted(partitions)
            return {}

        consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
        consumer.subscribe([ratings, users], on_assign=on_assign)
        return consumer

    first, second = member("first"), member("second")
    eventually(
        lambda: (first.poll(0.05), second.poll(0.05)) and len(assigned) == 2 and len(assigned["first"]) == 4
    )
    for partitions in assigned.values():
        numbers = {
            topic: {found.partition for found in partitions if found.topic == topic}
            for topic in (ratings, users)
        }
        assert numbers[ratings] == numbers[users]
        assert len(numbers[ratings]) == 2
    first.close()
    second.close()


def test_a_dead_letter_keeps_every_byte_on_its_topic(settings, ratings):
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
    settings = KafkaSettings(bootstrap_servers=embedded, prefix=prefix, broker_patience_s=2)
    producer = Producer(settings)
    producer.send(Output(prefix + "huge", b"k", b"x" * 3_000_000))
    with pytest.raises(DeliveryError, match=r"1 records were not delivered, the first to topic .*-huge"):
        producer.flush()
    producer.flush()  # reported only once
    replies = Producer(settings, reply_timeout_s=60)
    replies.send(Output(prefix + "huge", b"k", b"x" * 3_000_000))
    replies.flush()
    assert replies.n_failed == 1


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_reply_to_a_missing_topic_fails_without_delaying_other_replies(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    Admin(settings).create([topics.NewTopic(prefix + "replies", 1, -1)])
    replies = Producer(settings, linger_ms=0, reply_timeout_s=60)
    replies.send(Output(prefix + "nowhere", b"k", b"lost"))
    replies.send(Output(prefix + "replies", b"k", b"kept"))
    replies.flush()
    assert replies.n_failed == 0  # flush did not wait for it
    consumer = Consumer(settings, group=prefix + "client", start="earliest", fill_s=0)
    consumer.assign({Partition(prefix + "replies", 0): BEGINNING})
    assert [record.value for record in read(consumer, 1)] == [b"kept"]
    consumer.close()

    def has_failed():
        replies.poll()
        return replies.n_failed == 1

    eventually(has_failed)


@pytest.mark.real_broker
@pytest.mark.broker
def test_a_missing_topic_is_named(kafka, prefix):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix, broker_timeout_s=2)
    consumer = Consumer(settings, group=settings.prefix + "worker", start="earliest")
    with pytest.raises(TopicError, match=r"topic .*-ratings is missing; run: dch topics create"):
        consumer.subscribe([settings.topic("ratings")])
    consumer.close()


def test_without_a_broker_the_error_names_the_address_and_the_command_to_start_one():
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", broker_timeout_s=0.5)
    with pytest.raises(
        BrokerUnavailableError, match=r"no broker at 127.0.0.1:1 answered within 0.5 s.*dch broker start"
    ):
        Admin(settings).partitions()


ASK_WITHIN_A_CALLBACK = """
import sys, time
from streams.errors import StreamError
from streams.kafka import Consumer, Partition
from streams.settings import KafkaSettings

address, topic = sys.argv[1:]
settings = KafkaSettings(bootstrap_servers=address, kafka={"debug": "cgrp"})  # each log line is a callback
consumer, errors = Consumer(settings, group=topic, start="earliest"), []

def on_assign(partitions):
    try:
        consumer.end_offsets([Partition(topic, 99)], limit_s=1)  # no leader is known, as after an outage
    except StreamError as error:
        errors.append(error)
    return {}

consumer.subscribe([topic], on_assign=on_assign)
while not errors:
    consumer.poll()
consumer.close()
"""


def test_a_lookup_within_a_callback_does_not_end_the_process(settings, ratings):
    command = [sys.executable, "-c", ASK_WITHIN_A_CALLBACK, settings.bootstrap_servers, ratings]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
