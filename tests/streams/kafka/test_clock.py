"""A clock that is ahead: the broker refuses its records, and the difference is measured."""

import time
from functools import partial

import pytest

from streams import publish, topics
from streams.errors import TimeRefusedError
from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer, clock
from streams.kafka.clock import seconds_ahead, too_far_ahead
from streams.kafka.records import Output
from streams.kafka.replay import read_to_end
from streams.settings import KafkaSettings
from tests.streams.cli.running import dch

__all__ = ["dch"]

HOUR_S = 3600.0


def an_hour_ahead():
    return time.time() + HOUR_S


def test_the_clock_is_compared_with_the_broker_s_and_no_topic_is_left(settings):
    assert abs(seconds_ahead(settings)) < 60
    assert seconds_ahead(settings, now_s=an_hour_ahead) == pytest.approx(HOUR_S, abs=60)
    assert not [name for name in Admin(settings).partitions() if name.startswith(settings.prefix)]


def test_without_a_broker_there_is_no_measure_and_the_sentence_says_what_is_known():
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", broker_timeout_s=0.2)
    assert seconds_ahead(settings) is None
    assert too_far_ahead(None).startswith(
        "the clock of this machine is more than 300 s ahead of the broker's"
    )


@pytest.mark.real_broker
@pytest.mark.broker
@pytest.mark.parametrize("name", ["ratings", "users", "items"])
def test_a_broker_refuses_records_that_are_stamped_ahead(kafka, prefix, name):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    topics.create(Admin(settings), settings)
    producer, now_ms = Producer(settings), int(time.time() * 1000)
    producer.send(Output(settings.topic(name), b"k", b"{}", timestamp_ms=now_ms + 200_000))
    producer.flush()
    producer.send(Output(settings.topic(name), b"k", b"{}", timestamp_ms=now_ms + 400_000))
    with pytest.raises(TimeRefusedError, match="Invalid timestamp"):
        producer.flush()
    Admin(settings).delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


@pytest.mark.real_broker
@pytest.mark.broker
@pytest.mark.parametrize("name", ["served", "observer-changelog"])
def test_a_broker_stamps_what_the_observer_reads_by_its_own_clock(kafka, prefix, name):
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    topics.create(Admin(settings), settings)
    assert topics.check(Admin(settings), settings) == []
    producer, now_ms = Producer(settings), int(time.time() * 1000)
    producer.send(Output(settings.topic(name), b"k", b"{}", 0, timestamp_ms=now_ms + 10**12))
    producer.flush()
    consumer = Consumer(settings, group=prefix + "reader", start="earliest")
    (found,) = read_to_end(consumer, {Partition(settings.topic(name), 0): BEGINNING})
    assert now_ms - 60_000 < found.timestamp_ms < now_ms + 600_000
    consumer.close()
    Admin(settings).delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


@pytest.mark.real_broker
@pytest.mark.broker
def test_publish_says_by_how_much_the_clock_is_ahead(kafka, prefix, tmp_path, monkeypatch, dch):
    """An hour is added to all times of this machine that the command uses."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=prefix)
    topics.create(Admin(settings), settings)
    (tmp_path / "ratings.csv").write_text("user,item,rating\nu,i,5\n")
    ahead = partial(Output, timestamp_ms=int(an_hour_ahead() * 1000))
    monkeypatch.setattr(publish, "Output", ahead)
    monkeypatch.setattr(clock, "seconds_ahead", partial(seconds_ahead, now_s=an_hour_ahead))
    ran = dch("publish", tmp_path, "--bootstrap-servers", kafka, "--prefix", prefix)
    assert (ran.code, ran.out) == (1, "")
    assert "the clock of this machine is 36" in ran.err
    assert "set the clock, then publish again" in ran.err
    assert "Traceback" not in ran.err
    Admin(settings).delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])
