"""Consumer and producer while brokers are away: what is committed, kept and raised. librdkafka is a fake."""

import threading
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.errors import BrokerRefusedError, BrokerUnavailableError, DeliveryError, StoppedError, TopicError
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.ownership import Ownership
from streams.kafka.patience import Patience
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from tests.streams.kafka.test_patience import GROUP_MOVES, LOST, Clock

SETTINGS = KafkaSettings(bootstrap_servers="kafka:9092", kafka={"sasl.username": "worker"})
PLACE = Partition("ratings", 0)


class FakeMessage:
    """A record, or an error."""

    def __init__(self, offset=0, error=None):
        self._offset, self._error = offset, error

    def error(self):
        return self._error

    def topic(self):
        return PLACE.topic

    def partition(self):
        return PLACE.partition

    def offset(self):
        return self._offset

    def key(self):
        return b"u1"

    value = key

    def timestamp(self):
        return 1, 1_700_000_000_000

    def headers(self):
        return None


class FakeClient:
    """librdkafka's consumer of one partition. ``failures`` are the errors of the next commits."""

    def __init__(self):
        self.messages, self.failures, self.commits = [], [], []
        self.n_committed, self.n_asked, self.is_up, self.position_ = 0, 0, True, 0

    def created(self, config):
        self.report_error = config["error_cb"]
        return self

    def subscribe(self, topics, *, on_assign, on_revoke, on_lost):
        self.on_assign, self.on_revoke = on_assign, on_revoke

    def assign(self, partitions):
        pass

    def poll(self, timeout_s):
        if not self.messages:
            return None
        message = self.messages.pop(0)
        self.position_ = message.offset() + 1
        return message

    def consume(self, n, timeout_s):
        return []

    def position(self, partitions):
        return [TopicPartition(*PLACE, self.position_)]

    def committed(self, partitions, timeout):
        return [TopicPartition(*PLACE, self.n_committed)]

    def commit(self, offsets, asynchronous):
        self.commits.append(offsets[0].offset)
        if self.failures and (error := self.failures.pop(0)) is not None:
            raise KafkaException(error)
        self.n_committed = offsets[0].offset

    def list_topics(self, timeout):
        self.n_asked += 1
        if not self.is_up:
            raise KafkaException(LOST)
        return SimpleNamespace(topics={PLACE.topic: SimpleNamespace(partitions={0: None})})

    def close(self):
        self.on_revoke(self, [TopicPartition(*PLACE)])


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(monkeypatch):
    """Return the client of the consumer of a test."""
    found = FakeClient()
    monkeypatch.setattr("streams.kafka.lasting_client.ConfluentConsumer", found.created)
    return found


@pytest.fixture
def consumer(client, clock):
    found = Consumer(
        SETTINGS, group="worker", start="earliest", patience=Patience(300.0, clock, now=clock.now)
    )
    found.subscribe([PLACE.topic], on_revoke=lambda partitions: found.commit())
    client.on_assign(client, [TopicPartition(*PLACE)])
    return found


def mangling(client, callback, where, monkeypatch):
    """Let a method of the client run a callback, and raise what confluent-kafka makes of its errors."""

    def call(*args):
        try:
            callback(client, [TopicPartition(*PLACE)])
        except BaseException:  # noqa: BLE001 - that loses the cause is what this is about
            raise SystemError("_PyErr_SetObject: exception is not a BaseException subclass") from None
        return FakeMessage() if where == "poll" else []

    monkeypatch.setattr(client, where, call)


@pytest.mark.parametrize("where", ["poll", "consume"])
@pytest.mark.parametrize("error", [IndexError("boom"), TopicError("too many"), StoppedError("stopped")])
def test_what_a_callback_raises_comes_out_of_poll_as_itself(monkeypatch, client, clock, where, error):
    consumer = Consumer(SETTINGS, group="worker", start="earliest", patience=Patience(300.0, clock))

    def fail(partitions):
        raise error

    consumer.subscribe([PLACE.topic], on_assign=fail)
    client.messages = [FakeMessage()]
    mangling(client, client.on_assign, where, monkeypatch)
    with pytest.raises(type(error)) as raised:
        consumer.poll()
    assert raised.value is error
    consumer.close()  # raises nothing: it was raised


def test_an_error_of_the_last_revocation_comes_out_of_close(consumer):
    def fail():
        raise IndexError("boom")

    consumer.subscribe([PLACE.topic], on_revoke=lambda partitions: fail())
    with pytest.raises(IndexError, match="boom"):
        consumer.close()


def test_an_assignment_that_librdkafka_refuses_says_what_to_look_at(monkeypatch, consumer, client):

    def refuse(partitions):
        raise KafkaException(KafkaError(KafkaError._STATE, "Failed to set assignment: Erroneous state"))

    monkeypatch.setattr(client, "assign", refuse)
    mangling(client, client.on_assign, "poll", monkeypatch)
    with pytest.raises(BrokerUnavailableError, match=r"group worker.*Erroneous state; do all its members"):
        consumer.poll()


def read(consumer, client, *offsets):
    client.messages = [FakeMessage(offset) for offset in offsets]
    for _ in offsets:
        consumer.poll()
    consumer.mark_applied()


def test_a_commit_that_the_brokers_cannot_do_now_is_made_up_for_by_a_later_one(consumer, client, clock):
    read(consumer, client, 0)
    client.failures = [GROUP_MOVES, KafkaError(KafkaError._WAIT_COORD), LOST]
    for _ in range(3):
        consumer.commit()
        assert client.n_committed == 0
        clock.seconds += 2
    read(consumer, client, 1)
    consumer.commit()
    assert client.commits == [1, 1, 1, 2]
    assert client.n_committed == 2


def test_failing_commits_are_not_tried_again_at_once(consumer, client, clock):
    read(consumer, client, 0)
    client.failures = [GROUP_MOVES] * 1000
    for _ in range(1000):  # ten seconds of empty polls
        consumer.commit()
        clock.seconds += 0.01
    assert 5 <= len(client.commits) <= 12


def commit_for_ever(consumer, clock):
    while True:
        consumer.commit()
        clock.seconds += 1


def test_commits_that_fail_for_longer_than_the_patience_are_an_error(consumer, client, clock):
    read(consumer, client, 0)
    client.failures = [GROUP_MOVES] * 1000
    with pytest.raises(BrokerUnavailableError, match="coordinator load in progress"):
        commit_for_ever(consumer, clock)
    assert 300 < clock.seconds < 310


@pytest.mark.parametrize(
    ("code", "error", "sentence"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, BrokerRefusedError, "the right Read on topic ratings"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, BrokerRefusedError, "the right Read on group worker"),
        (KafkaError.OFFSET_METADATA_TOO_LARGE, BrokerUnavailableError, "refused"),
    ],
)
def test_a_commit_that_can_never_succeed_is_an_error_at_once(consumer, client, code, error, sentence):
    read(consumer, client, 0)
    client.failures = [KafkaError(code)]
    with pytest.raises(error, match=sentence):
        consumer.commit()


def test_a_commit_in_a_rebalance_is_retried_before_the_partitions_are_given_up(consumer, client, clock):
    read(consumer, client, 0, 1)
    client.failures = [GROUP_MOVES] * 5
    consumer.close()
    assert client.n_committed == 2
    assert clock.seconds < 10


def test_a_rebalance_goes_on_when_the_commit_keeps_failing(consumer, client, clock):
    read(consumer, client, 0, 1)
    client.failures = [GROUP_MOVES] * 1000
    consumer.close()  # raises nothing
    assert client.n_committed == 0
    assert 10 <= clock.seconds < 15
    client.failures = []
    client.on_assign(client, [TopicPartition(*PLACE)])
    read(consumer, client, 2)
    consumer.commit()
    assert client.n_committed == 3


def test_nothing_is_committed_while_no_broker_answers_and_all_of_it_afterwards(consumer, client, clock):
    read(consumer, client, 0)
    client.is_up = False
    client.report_error(LOST)
    consumer.poll()
    consumer.commit()
    consumer.close()
    assert client.commits == []
    client.is_up = True
    clock.seconds += 5
    consumer.poll()
    client.on_assign(client, [TopicPartition(*PLACE)])
    read(consumer, client, 1)
    consumer.commit()
    assert client.n_committed == 2


class FakeAdmin:
    """librdkafka's administrator, which tells of a lost connection when it is polled."""

    is_up = True

    def __init__(self, config):
        self._problems = config["error_cb"]

    def poll(self, timeout_s):
        if not self.is_up:
            self._problems(LOST)

    def list_topics(self, timeout):
        if not self.is_up:
            raise KafkaException(LOST)
        return SimpleNamespace(topics={})


def probe_for_ever(admin, clock):
    while True:
        admin.probe()
        clock.seconds += 1


def test_a_probe_says_whether_a_broker_answers_and_fails_once_the_patience_is_over(monkeypatch, clock):
    monkeypatch.setattr("streams.kafka.admin.AdminClient", FakeAdmin)
    patience = Patience(300.0, clock, now=clock.now)
    admin = Admin(SETTINGS, patience)
    admin.probe()
    assert patience.is_reachable
    admin._client.is_up = False
    admin.probe()
    assert patience.is_away
    clock.seconds += 299
    admin._client.is_up = True
    admin.probe()
    assert patience.is_reachable
    admin._client.is_up, begun = False, clock.seconds
    with pytest.raises(BrokerUnavailableError, match=r"answered within 300 s \(kafka:9092/1: Connection"):
        probe_for_ever(admin, clock)
    assert 300 < clock.seconds - begun < 303


def poll_for_ever(consumer, clock):
    while True:
        assert consumer.poll() == []
        clock.seconds += 0.1


def test_a_consumer_without_a_broker_asks_for_one_once_a_second_and_gives_up_after_the_patience(
    consumer, client, clock
):
    client.is_up, client.n_asked = False, 0
    client.report_error(LOST)
    sentence = r"answered within 300 s \(kafka:9092/1: Connection refused\)"
    with pytest.raises(BrokerUnavailableError, match=sentence):
        poll_for_ever(consumer, clock)
    assert 300 < clock.seconds < 303
    assert 270 < client.n_asked < 303


def test_a_consumer_with_a_broker_that_has_nothing_to_say_asks_nothing(consumer, client):
    client.n_asked = 0
    for _ in range(100):
        consumer.poll()
    assert client.n_asked == 0


@pytest.mark.parametrize(
    ("code", "resource"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "topic ratings"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "group worker"),
    ],
)
def test_a_missing_right_to_read_is_named(consumer, client, code, resource):
    client.messages = [FakeMessage(error=KafkaError(code))]
    with pytest.raises(BrokerRefusedError, match=f"'worker' lacks the right Read on {resource}"):
        consumer.poll()


class FakeProducerClient:
    """librdkafka's producer: ``left`` are the records that are unacknowledged now and after each flush."""

    def __init__(self, config):
        self.config, self.left, self.n_asked, self.flush_s = config, [], 0, 1.0

    def __len__(self):
        return self.left[0] if self.left else 0

    def produce(self, *args, **kwargs):
        pass

    def flush(self, timeout_s):
        self.clock.seconds += timeout_s
        if len(self.left) > 1:
            self.left.pop(0)
        return self.left[0]

    def list_topics(self, timeout):
        self.n_asked += 1
        raise KafkaException(LOST)


@pytest.fixture
def producer(monkeypatch, clock):
    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", FakeProducerClient)
    found = Producer(SETTINGS, patience=Patience(300.0, clock, now=clock.now))
    found._client.clock = clock
    return found


def test_a_flush_waits_for_acknowledgements_as_long_as_the_patience_lasts(producer, clock):
    assert producer._client.config["delivery.timeout.ms"] == 300_000
    producer._client.left = [5] * 200 + [0]
    producer.flush()
    assert clock.seconds == 200
    assert not producer._patience.is_reachable  # asked for because nothing was acknowledged
    producer._client.left = [5]
    with pytest.raises(DeliveryError, match="5 records were not acknowledged within 300 s"):
        producer.flush()


def test_a_flush_that_gets_on_asks_no_broker(producer):
    producer._client.left = [9, 7, 4, 1, 0]
    producer.flush()
    assert producer._client.n_asked == 0


def test_a_flush_ends_soon_after_the_process_was_told_to_stop(monkeypatch, clock):
    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", FakeProducerClient)
    stop = threading.Event()
    producer = Producer(SETTINGS, patience=Patience(300.0, stop, now=clock.now))
    producer._client.clock, producer._client.left = clock, [3]
    stop.set()
    with pytest.raises(StoppedError, match="stopped while 3 records were not acknowledged"):
        producer.flush()
    assert clock.seconds <= 5


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED]
)
def test_a_missing_right_to_write_is_named(producer, code):
    producer._client.left = [0]
    producer.send(Output("ratings", b"k", b"v"))
    producer._on_delivery(KafkaError(code), FakeMessage())
    with pytest.raises(BrokerRefusedError, match="lacks the right Write on topic ratings"):
        producer.flush()


def test_a_fatal_error_that_the_client_raises_in_a_flush_is_told_as_what_it_is(producer, monkeypatch):
    def fail(timeout_s):
        cause = KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "no PID", fatal=True))
        raise SystemError("returned a result with an exception set") from cause

    monkeypatch.setattr(producer._client, "flush", fail)
    producer.send(Output("ratings", b"k", b"v"))
    with pytest.raises(BrokerRefusedError, match="lacks the right Write on topic ratings"):
        producer.flush()


FENCED = KafkaError(
    KafkaError._FATAL,
    "Fatal error: Static consumer fenced by other consumer with same group.instance.id",
)
"""As the error callback gets it: fatal by its code alone."""


@pytest.mark.parametrize("where", ["poll", "consume"])
def test_a_consumer_that_was_fenced_ends_with_an_error_and_reads_no_more(
    consumer, client, monkeypatch, where
):

    def report(*args):
        client.report_error(FENCED)
        return FakeMessage() if where == "poll" else []

    client.messages = [FakeMessage()]
    monkeypatch.setattr(client, where, report)
    sentence = r"kafka:9092 failed for good: .*fenced.*; start this process again, with a group.instance"
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match=sentence):
            consumer.poll()
        client.messages = [FakeMessage(1)]


def test_an_owner_that_was_fenced_ends_with_an_error(monkeypatch, clock):
    monkeypatch.setattr("streams.kafka.ownership.ConfluentConsumer", FakeOwner)
    owner = Ownership(SETTINGS, "models", "trainer", Patience(300.0, clock))
    assert owner.poll()
    owner._problems(FENCED)
    with pytest.raises(BrokerUnavailableError, match="failed for good"):
        owner.poll()


class FakeOwner:
    """librdkafka's consumer that owns a partition and reads nothing."""

    def __init__(self, config):
        pass

    def subscribe(self, topics):
        pass

    def poll(self, timeout_s):
        return None

    def assignment(self):
        return [TopicPartition(*PLACE)]


@pytest.mark.parametrize("reply_timeout_s", [None, 60])
def test_a_producer_that_failed_for_good_is_an_error_at_flush_also_for_replies(
    monkeypatch, clock, reply_timeout_s
):
    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", FakeProducerClient)
    patience = Patience(300.0, clock, now=clock.now)
    producer = Producer(SETTINGS, reply_timeout_s=reply_timeout_s, patience=patience)
    producer._client.clock, producer._client.left = clock, [0]
    producer.flush()
    producer._problems(KafkaError(KafkaError._FATAL, "Fatal error: out of order sequence number"))
    with pytest.raises(BrokerUnavailableError, match=r"failed for good: .*; start this process again$"):
        producer.flush()
