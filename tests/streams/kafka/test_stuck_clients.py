"""A client that gets no answer is replaced by a new one that does, and by nothing else."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as ConfluentProducer

from streams.errors import BrokerUnavailableError
from streams.kafka import BEGINNING, Admin, Consumer, Partition, Patience, Producer, lookups, offset_queries
from streams.kafka.ownership import Ownership
from streams.kafka.records import Output
from streams.kafka.stuck_clients import CHECK_INTERVAL_S, StuckClients
from streams.settings import KafkaSettings
from streams.topics import NewTopic
from tests.streams.brokers import embedded_broker, eventually, free_ports


class Client:
    """A client that answers or does not."""

    def __init__(self, answers, code=KafkaError._TRANSPORT):
        self.answers, self.code, self.n_asked, self.is_closed = answers, code, 0, False

    def list_topics(self, topic, timeout):
        self.n_asked += 1
        if not self.answers:
            raise KafkaException(KafkaError(self.code))

    def close(self):
        self.is_closed = True


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def looks(stuck, clock, client, n):
    """Return what each of some looks gives, each due."""
    found = []
    for _ in range(n):
        clock.now_s += CHECK_INTERVAL_S
        found.append(stuck.replacement(client, "ratings"))
    return found


def test_a_client_is_replaced_after_three_checks_without_an_answer_if_a_new_one_gets_one():
    clock, new = Clock(), Client(answers=True)
    stuck = StuckClients(lambda: new, now=clock)
    assert looks(stuck, clock, Client(answers=False), 3) == [None, None, new]
    assert not new.is_closed


def test_a_client_that_waits_for_an_answer_is_left_alone():
    """A broker over whose quota it is, or that hangs, lets it wait."""
    clock = Clock()
    stuck = StuckClients(lambda: pytest.fail("created a client"), now=clock)
    assert looks(stuck, clock, Client(answers=False, code=KafkaError._TIMED_OUT), 9) == [None] * 9


def test_while_the_brokers_are_away_no_client_is_replaced():
    clock, created = Clock(), []
    stuck = StuckClients(lambda: created.append(Client(answers=False)) or created[-1], now=clock)
    assert looks(stuck, clock, Client(answers=False), 9) == [None] * 9
    assert created
    assert all(client.is_closed for client in created)


def test_a_client_that_answers_or_receives_is_left_alone():
    clock, client = Clock(), Client(answers=True)
    stuck = StuckClients(lambda: pytest.fail("created a client"), now=clock)
    assert looks(stuck, clock, client, 5) == [None] * 5
    assert client.n_asked == 5
    for _ in range(5):
        clock.now_s += CHECK_INTERVAL_S - 1
        stuck.note_message()
        assert stuck.replacement(client, "ratings") is None
    assert client.n_asked == 5
    client.answers = False
    assert looks(stuck, clock, client, 2) == [None, None]
    client.answers = True
    assert looks(stuck, clock, client, 3) == [None] * 3


@pytest.fixture
def log(settings, prefix):
    admin = Admin(settings)
    admin.create([NewTopic(prefix + "log", 1, -1)])
    send(settings, prefix + "log", 3)
    yield Partition(prefix + "log", 0)
    admin.delete([prefix + "log"])


def send(settings, topic, n):
    producer = Producer(settings, linger_ms=0)
    for at in range(n):
        producer.send(Output(topic, b"k", b"%d" % at, 0))
    producer.flush()


def make_stuck(clients, monkeypatch):
    monkeypatch.setattr("streams.kafka.stuck_clients.CHECK_INTERVAL_S", 0.0)
    (found,) = clients
    found.is_stuck = True
    return found


def test_a_reader_goes_on_where_it_was(settings, log, clients, monkeypatch):
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest", fill_s=0)
    consumer.assign({log: BEGINNING})
    found = []
    eventually(lambda: found.extend(consumer.poll(0.05)) or len(found) == 3)
    stuck = make_stuck(clients, monkeypatch)
    send(settings, log.topic, 2)
    eventually(lambda: found.extend(consumer.poll(0.05)) or len(found) == 5)
    assert [record.offset for record in found] == list(range(5))
    eventually(lambda: stuck.is_closed)
    consumer.mark_applied()
    consumer.commit()
    assert consumer.committed([log]) == {log: 5}
    consumer.close()


def test_a_question_that_a_stuck_client_cannot_answer_goes_to_the_new_one(
    settings, log, clients, monkeypatch
):
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest")
    stuck = make_stuck(clients, monkeypatch)
    assert consumer.partition_counts()[log.topic] == 1
    assert consumer.end_offsets([log]) == {log: 3}
    eventually(lambda: stuck.is_closed)
    consumer.close()


def test_an_owner_with_a_stuck_client_becomes_the_owner_again(settings, log, clients, monkeypatch):
    owner = Ownership(settings, log.topic, settings.prefix + "owners", Patience(30))
    eventually(owner.poll, 30)
    stuck = make_stuck(clients, monkeypatch)
    eventually(lambda: owner.poll() and len(clients) > 1, 30)
    eventually(lambda: stuck.is_closed)
    owner.close()


def test_replies_go_on_after_their_client_got_stuck(settings, log, monkeypatch):
    monkeypatch.setattr("streams.kafka.stuck_clients.CHECK_INTERVAL_S", 0.0)
    made = []

    def create(config):
        lost = {} if made else {"bootstrap.servers": "127.0.0.1:1"}
        made.append(ConfluentProducer({**config, **lost}))
        return made[-1]

    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", create)
    replies = Producer(settings, linger_ms=0, reply_timeout_s=0.5)
    for _ in range(5):
        replies.poll()
    assert len(made) == 1  # no reply has failed
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest")

    def is_written():
        replies.send(Output(log.topic, b"k", b"reply", 0))
        replies.flush()
        replies.poll()
        return consumer.end_offsets([log])[log] > 3

    eventually(is_written, 60)
    assert len(made) > 1
    consumer.close()
    replies.close()


class Asked(ConfluentProducer):
    """A producer that counts the questions for the metadata of the cluster."""

    n_asked = 0

    def list_topics(self, *args, **kwargs):
        self.n_asked += 1
        return super().list_topics(*args, **kwargs)


@pytest.mark.broker
def test_once_replies_are_delivered_again_nothing_is_asked_any_more(tmp_path, prefix, monkeypatch):
    monkeypatch.setattr("streams.kafka.stuck_clients.CHECK_INTERVAL_S", 0.0)
    port, made = free_ports(2), []

    def create(config):
        made.append(Asked(config))
        return made[-1]

    monkeypatch.setattr("streams.kafka.producer.ConfluentProducer", create)
    settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}", prefix=prefix)
    replies, reply = (
        Producer(settings, linger_ms=0, reply_timeout_s=1.0),
        Output(prefix + "replies", b"k", b"v"),
    )
    (client,) = made
    replies.send(reply)
    eventually(lambda: replies.poll() or client.n_asked)
    assert replies.n_failed == 1
    with embedded_broker(tmp_path / "data", port=port):
        Admin(settings).create([NewTopic(prefix + "replies", 1, -1)])
        eventually(lambda: prefix + "replies" in client.list_topics(timeout=10).topics)
        replies.poll()
        replies.poll()
        n_asked = client.n_asked
        replies.poll()
        assert client.n_asked > n_asked, "none was delivered yet"

        def is_trusted():
            replies.send(reply)
            replies.flush()
            n_asked = client.n_asked
            replies.poll()
            return client.n_asked == n_asked

        eventually(is_trusted)
        assert made == [client]
        replies.close()


def test_a_member_loses_its_partitions_and_joins_again(settings, log, clients, monkeypatch):
    consumer = Consumer(settings, group=settings.prefix + "member", start="earliest", fill_s=0)
    seen, found = [], []
    consumer.subscribe(
        [log.topic],
        on_assign=lambda partitions: seen.append("assigned") or {},
        on_revoke=lambda partitions: seen.append("revoked"),
        on_lost=lambda partitions: seen.append("lost"),
    )
    eventually(lambda: found.extend(consumer.poll(0.05)) or len(found) == 3)
    stuck = make_stuck(clients, monkeypatch)
    eventually(lambda: found.extend(consumer.poll(0.05)) or len(found) == 6, 30)
    assert seen == ["assigned", "lost", "assigned"]  # and nothing by the end of the old client
    eventually(lambda: stuck.is_closed)
    assert [record.offset for record in found[3:]] == [0, 1, 2]  # nothing was committed
    consumer.mark_applied()
    consumer.commit()
    assert consumer.committed([log]) == {log: 3}
    consumer.close()


@pytest.mark.parametrize("n_failures", [1, 2])
def test_a_member_whose_lookup_in_a_callback_gets_no_answer_joins_again(
    settings, log, monkeypatch, n_failures
):
    monkeypatch.setattr(lookups, "CALLBACK_S", 0.2)
    failing = [KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))] * n_failures
    ask = offset_queries.edge_offsets

    def edge_offsets(*args, **kwargs):
        if not failing:
            return ask(*args, **kwargs)
        raise failing[0]

    def on_assign(partitions):
        try:
            consumer.end_offsets(partitions)
        except BrokerUnavailableError:
            failing.pop()
            raise
        return {}

    monkeypatch.setattr(offset_queries, "edge_offsets", edge_offsets)
    consumer = Consumer(settings, group=settings.prefix + "member", start="earliest", fill_s=0)
    found, lost = [], []
    consumer.subscribe([log.topic], on_assign=on_assign, on_lost=lambda partitions: lost.append(partitions))
    eventually(lambda: found.extend(consumer.poll(0.05)) or len(found) == 3, 60)
    assert not failing
    assert lost == [[]] * n_failures
    consumer.close()


def test_a_member_whose_lookups_in_callbacks_get_no_answer_for_too_long_ends(settings, log, monkeypatch):
    monkeypatch.setattr(lookups, "CALLBACK_S", 0.2)
    impatient = settings.replace(broker_patience_s=1.0)

    def edge_offsets(*args, **kwargs):
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))

    monkeypatch.setattr(offset_queries, "edge_offsets", edge_offsets)
    consumer = Consumer(impatient, group=settings.prefix + "member", start="earliest", fill_s=0)
    consumer.subscribe([log.topic], on_assign=lambda partitions: consumer.end_offsets(partitions) and {})
    with pytest.raises(BrokerUnavailableError):
        eventually(lambda: consumer.poll(0.05), 60)
    consumer.close()
