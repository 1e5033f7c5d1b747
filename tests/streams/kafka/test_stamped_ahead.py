"""A record that the broker refuses as stamped ahead is replaced; those that share its batch are written."""

import pytest
from confluent_kafka import KafkaError

from streams.errors import TimeRefusedError
from streams.kafka import Producer
from streams.kafka.outbox import Outbox
from streams.kafka.records import Output, Record
from streams.messages import RatingEvent, decode_rating
from streams.messages.item_ratings import decode_item_rating
from streams.settings import WorkerSettings
from streams.worker.users import withdrawal

NOW_MS, DAY_MS = 1_700_000_000_000, 86_400_000
LIMITED = {"ratings", "users"}
SETTINGS = WorkerSettings(prefix="")


class Message:
    def __init__(self, topic, key, value):
        self._found = topic, key, value

    def topic(self):
        return self._found[0]

    def key(self):
        return self._found[1]

    def value(self):
        return self._found[2]

    def partition(self):
        return 0


class Client:
    """librdkafka's producer and a broker that refuses each batch with a record that is stamped ahead."""

    def __init__(self, config):
        self.on_delivery, self.queue, self.written = config["on_delivery"], [], []

    def __len__(self):
        return len(self.queue)

    def produce(self, topic, value, key, partition=0, timestamp=NOW_MS, headers=(), on_delivery=None):
        self.queue.append((topic, key, value, timestamp, on_delivery or self.on_delivery))

    def flush(self, timeout_s):
        batches, self.queue = self.queue, []
        refused = {topic for topic, _, _, at, _ in batches if topic in LIMITED and at > NOW_MS + 300_000}
        for topic, key, value, at, on_delivery in batches:
            error = KafkaError(KafkaError.INVALID_TIMESTAMP) if topic in refused else None
            if error is None:
                self.written.append((topic, key, value, at))
            on_delivery(error, Message(topic, key, value))
        return 0


@pytest.fixture
def producer(monkeypatch):
    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", Client)
    return Producer(SETTINGS)


def test_a_repartitioned_record_that_is_stamped_ahead_becomes_a_dead_letter_and_the_others_are_written(
    producer,
):
    outbox = Outbox(SETTINGS, producer, group="worker")
    for at, time_ms in enumerate((NOW_MS, NOW_MS + 400 * DAY_MS, NOW_MS - 1)):
        outbox.repartition(Record("ratings", 0, at, b"u", b"v%d" % at, time_ms), 1, b"u")
    outbox.flush()
    found = {(topic, value) for topic, _, value, _ in producer._client.written}
    assert found == {("ratings", b"v0"), ("ratings", b"v2"), ("ratings-dlt", b"v1")}


@pytest.mark.parametrize("ahead_ms", [0, DAY_MS // 2, 400 * DAY_MS])
def test_a_tombstone_however_far_ahead_withdraws_the_ratings_of_its_user(producer, ahead_ms):
    time_ms = NOW_MS + ahead_ms
    producer.send(withdrawal(SETTINGS, "u", "i", time_ms))
    producer.flush()
    ((topic, key, value, at),) = producer._client.written
    record = Record(topic, 0, 0, key, value, at)
    if ahead_ms:
        found = decode_item_rating(record)
        assert (topic, key, found.users, found.items) == ("item-ratings", None, ["u"], ["i"])
        assert (found.ratings, found.timestamps) == ([None], [time_ms])
    else:
        assert (topic, decode_rating(record)) == ("ratings", RatingEvent("u", "i", None, time_ms))


def test_what_has_no_replacement_is_an_error_that_says_why(producer):
    producer.send(Output("ratings", b"u", b"v", timestamp_ms=NOW_MS + DAY_MS))
    with pytest.raises(TimeRefusedError):
        producer.flush()
