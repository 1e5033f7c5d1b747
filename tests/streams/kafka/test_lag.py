"""Lag is right while fetches stall, after idle times, and for partitions of which nothing was read."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import REGISTRY

from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer, end_offsets
from streams.kafka.end_offsets import EndOffsets
from streams.kafka.lag import Lag, Unread, now_ms
from streams.kafka.records import Output, to_topic_partition
from streams.settings import KafkaSettings
from streams.topics import NewTopic
from tests.streams import transactions
from tests.streams.brokers import eventually
from tests.streams.messages.records import record

A, B = Partition("t-ratings", 0), Partition("t-ratings", 1)
T0 = 1_700_000_000_000


def read(partition, time_ms):
    return record("{}", topic=partition.topic, partition=partition.partition, timestamp_ms=time_ms)


def unread(now=T0, **n_records):
    """Return how much is unread, as of a time; names are those of the partitions."""
    return {{"A": A, "B": B}[name]: Unread(n, now) for name, n in n_records.items()}


def test_while_records_are_unread_it_is_the_age_of_the_last_record_read():
    lag = Lag("t-")
    lag.note([read(A, T0 - 9000), read(A, T0 - 5000)])
    assert lag.seconds(unread(A=3), [A], T0) == {A: 5}


def test_a_record_that_is_stamped_ahead_hides_no_lag():
    lag = Lag("t-")
    lag.note([read(A, 2**42)])
    at = now_ms()
    assert lag.seconds(unread(at + 7000, A=3), [A], at + 7000)[A] >= 7


def test_a_partition_at_its_end_has_no_lag_however_old_its_last_record_is():
    lag = Lag("t-")
    lag.note([read(A, T0 - 10_000_000)])
    assert lag.seconds(unread(A=0), [A], T0) == {A: 0}


def test_a_record_after_an_idle_time_lags_since_the_end_was_seen():
    lag = Lag("t-")
    lag.note([read(A, T0 - 10_000_000)])
    lag.seconds(unread(A=0), [A], T0)
    assert lag.seconds(unread(A=1), [A], T0 + 2000) == {A: 2}


def test_a_record_lags_since_the_end_was_asked_for_not_since_the_answer_was_used():
    lag = Lag("t-")
    assert lag.seconds(unread(T0, A=0), [A], T0 + 4000) == {A: 0}
    assert lag.seconds(unread(T0 + 5000, A=1), [A], T0 + 6000) == {A: 6}


def test_a_partition_of_which_nothing_was_read_lags_since_it_was_assigned():
    lag = Lag("t-")
    assert lag.seconds(unread(A=0), [A, B], T0) == {A: 0, B: 0}
    assert lag.seconds(unread(T0 + 7000, A=0), [A, B], T0 + 7000) == {A: 0, B: 7}


def test_a_replay_lags_by_the_age_of_what_it_reads_not_by_the_time_since_the_assignment():
    lag = Lag("t-")
    lag.seconds({}, [A], T0)
    lag.note([read(A, T0 - 3_600_000)])
    assert lag.seconds(unread(A=100), [A], T0 + 1000) == {A: 3601}


def test_a_partition_that_went_away_begins_again():
    lag = Lag("t-")
    lag.note([read(A, T0)])
    lag.seconds(unread(A=5), [A], T0)
    lag.seconds({}, [], T0)
    assert lag.seconds({}, [A], T0 + 60_000) == {A: 0}


@pytest.mark.parametrize("metric", ["dch_consumer_lag_records", "dch_consumer_lag_seconds"])
def test_gauges_are_those_of_the_assigned_partitions(metric):
    def value(one):
        labels = {"topic": "ratings", "partition": str(one.partition)}
        return REGISTRY.get_sample_value(metric, labels)

    lag = Lag("t-")
    lag.note([read(A, T0 - 4000), read(B, T0)])
    lag.show(unread(A=4, B=0), [A, B], T0)
    assert (value(A), value(B)) == (4, 0)
    lag.show(unread(B=0), [B], T0)
    assert (value(A), value(B)) == (None, 0)


@pytest.fixture
def topic(settings, prefix):
    admin = Admin(settings)
    admin.create([NewTopic(prefix + "log", 2, -1)])
    yield prefix + "log"
    admin.delete([prefix + "log"])


@pytest.fixture
def consumer(settings, monkeypatch):
    monkeypatch.setattr(end_offsets, "ASK_INTERVAL_S", 0.0)
    monkeypatch.setattr(end_offsets, "PAUSE_FACTOR", 0.0)
    found = Consumer(settings, group=settings.prefix + "reader", start="earliest", fill_s=0)
    yield found
    found.close()


def outputs(topic, n):
    return [Output(topic, b"k", b"%d" % at, 0) for at in range(n)]


def send(settings, topic, n):
    producer = Producer(settings, linger_ms=0)
    for output in outputs(topic, n):
        producer.send(output)
    producer.flush()


def records_behind(consumer, place):
    consumer.poll(0.01)
    found = consumer.lag().get(place)
    return found and found.n_records


def test_while_nothing_is_fetched_the_lag_counts_what_arrives(settings, topic, clients, consumer):
    place = Partition(topic, 0)
    send(settings, topic, 2)
    consumer.assign({place: BEGINNING})
    eventually(lambda: consumer.poll(0.05) is not None and consumer.is_at_end(place))
    eventually(lambda: records_behind(consumer, place) == 0)
    clients[0].pause([to_topic_partition(place)])  # as a quota or a leader that hangs does
    eventually(lambda: not consumer.poll(0.1))
    send(settings, topic, 7)
    eventually(lambda: records_behind(consumer, place) == 7)
    clients[0].resume([to_topic_partition(place)])
    eventually(lambda: records_behind(consumer, place) == 0)


def test_a_partition_of_which_nothing_was_fetched_yet_lags_by_all_of_it(settings, topic, clients, consumer):
    place, other = Partition(topic, 0), Partition(topic, 1)
    send(settings, topic, 5)
    consumer.assign({place: 2, other: BEGINNING})
    clients[0].pause([to_topic_partition(place), to_topic_partition(other)])
    eventually(lambda: records_behind(consumer, place) == 3)
    assert consumer.lag()[other].n_records == 0
    consumer.assign({place: BEGINNING, other: BEGINNING})
    clients[0].pause([to_topic_partition(place)])
    eventually(lambda: records_behind(consumer, place) == 5)


@pytest.mark.parametrize(("isolation", "end"), [("read_committed", 1), ("read_uncommitted", 4)])
def test_records_of_an_open_transaction_count_only_for_who_may_read_them(
    settings, topic, monkeypatch, isolation, end
):
    monkeypatch.setattr(end_offsets, "ASK_INTERVAL_S", 0.0)
    monkeypatch.setattr(end_offsets, "PAUSE_FACTOR", 0.0)
    place = Partition(topic, 0)
    send(settings, topic, 1)
    kept = transactions.write(settings, outputs(topic, 3), "open")
    found = EndOffsets(settings, isolation)
    eventually(lambda: place in found.look([place]))
    assert found.look([place])[place].offset == end
    transactions.end(kept, "abort")


class Silent:
    """A client whose leaders never answer, or answer with an error."""

    def __init__(self, error=None):
        self.error, self.n_asked, self.n_polled = error, 0, 0

    def poll(self, timeout_s):
        self.n_polled += 1

    def list_offsets(self, asked, **options):
        self.n_asked += 1
        self.answers = answers = {one: Future() for one in asked}
        if self.error is not None:
            for answer in answers.values():
                answer.set_exception(KafkaException(KafkaError(self.error)))
        return answers


@pytest.mark.parametrize(("error", "n_asked"), [(None, 1), (KafkaError._TIMED_OUT, 3)])
def test_without_an_answer_the_end_is_unknown_and_nothing_waits_or_fails(monkeypatch, error, n_asked):
    monkeypatch.setattr(end_offsets, "ASK_INTERVAL_S", 0.0)
    monkeypatch.setattr(end_offsets, "PAUSE_FACTOR", 0.0)
    monkeypatch.setattr(end_offsets, "AdminClient", lambda config: client)
    client = Silent(error)
    ends = EndOffsets(KafkaSettings(bootstrap_servers="nowhere:1"))
    assert [ends.look([A, B]) for _ in range(3)] == [{}] * 3
    assert client.n_asked == n_asked  # nothing else is asked while an answer may come


def test_the_client_that_asks_for_ends_runs_its_callbacks_at_every_look():
    """They count and log its problems, which would be nowhere to be seen, and queue up."""
    ends = EndOffsets(KafkaSettings(bootstrap_servers="nowhere:1"))
    ends._client = client = Silent()
    for _ in range(3):
        ends.look([A])
    assert (client.n_polled, client.n_asked) == (3, 1)


def test_ends_are_asked_for_now_and_then():
    ends = EndOffsets(KafkaSettings(bootstrap_servers="nowhere:1"))
    ends._client = client = Silent(KafkaError._TIMED_OUT)
    for _ in range(3):
        ends.look([A])
    assert client.n_asked == 1


def test_an_answer_that_took_long_is_followed_by_a_long_pause(monkeypatch):
    """While a leader is down, librdkafka keeps a core busy until the answer is due."""
    now = SimpleNamespace(monotonic=lambda: now.s, time_ns=lambda: T0 * 1_000_000, s=100.0)
    monkeypatch.setattr(end_offsets, "time", now)
    ends = EndOffsets(KafkaSettings(bootstrap_servers="nowhere:1"))
    ends._client = client = Silent()
    ends.look([A])
    (answer,) = client.answers.values()
    now.s += 2.0
    answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    asked_at = []
    for now.s in range(102, 152):
        before = client.n_asked
        ends.look([A])
        asked_at += [now.s] * (client.n_asked - before)
    assert asked_at == [102 + 20 * 2]
