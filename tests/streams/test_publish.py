"""Publish a data set: every rating once, in time order, keyed by user."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch import Ratings
from dch.errors import RatingsError
from streams import topics
from streams.errors import TimeRefusedError
from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import RatingEvent, decode_item, decode_rating, decode_user, encode_rating
from streams.publish import Pace, events, publish_features, publish_ratings, require_readable
from streams.settings import KafkaSettings
from tests.streams.brokers import eventually

T = 1_700_000_000_000
RATINGS = Ratings.from_events(
    ["u1", "u2", "u1", "u3"], ["i1", "i1", "i2", "i3"], [5.0, 4.1, 0.5, 3.0], [T + 3, T, T + 2, T + 1]
)
EVENTS = [
    RatingEvent("u2", "i1", 4.1, T),
    RatingEvent("u3", "i3", 3.0, T + 1),
    RatingEvent("u1", "i2", 0.5, T + 2),
    RatingEvent("u1", "i1", 5.0, T + 3),
]


class Sent:
    """A sink that records its outputs."""

    def __init__(self):
        self.outputs = []
        self.flushed = 0

    def send(self, output):
        self.outputs.append(output)

    def flush(self):
        self.flushed = len(self.outputs)


class Clock:
    """A clock that advances only in ``sleep``."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds


def test_events_are_in_time_order_with_the_decimals_of_the_file():
    assert list(events(RATINGS)) == EVENTS


def test_a_rating_without_time_gets_the_current_time():
    ratings = Ratings.from_events(["u"], ["i"], [1.0])
    assert next(events(ratings)).timestamp > 1_600_000_000_000


def test_an_order_is_published_in_its_order_at_the_current_time():
    ratings = Ratings.from_events(["u", "v"], ["i", "i"], [1.0, 2.0], [2, 1])
    found = list(events(ratings))
    assert [event.user for event in found] == ["v", "u"]
    assert 1_600_000_000_000 < found[0].timestamp <= found[1].timestamp


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 1000.0), (400.0, 2.5), (None, 0.0)])
def test_ratings_are_sent_at_the_given_rate(rate, seconds):
    ratings = Ratings.from_events(
        [f"u{i}" for i in range(1000)], ["i"] * 1000, np.ones(1000), np.arange(1, 1001)
    )
    clock, sent, advanced = Clock(), Sent(), []
    pace = Pace(rate, clock.now, clock.sleep)
    assert publish_ratings(ratings, sent, KafkaSettings(), pace=pace, advance=advanced.append) == 1000
    assert (sent.flushed, sum(advanced)) == (1000, 1000)
    assert clock.time == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("users", "items", "times", "message"),
    [
        (["u"], ["i" * 257], [T], "item 'i+'.*item: expected 1 to 256 bytes, got 257"),
        (["u", "ü" * 129], ["i", "i"], [T, T], "user: expected 1 to 256 bytes, got 258"),
        (
            ["u", "late"],
            ["i", "i"],
            [T, 4_000_000_000],
            "user 'late'.*timestamp: expected .* got 4000000000000",
        ),
    ],
)
def test_what_workers_would_refuse_is_refused_before_anything_is_published(users, items, times, message):
    ratings = Ratings.from_events(users, items, np.ones(len(users)), times)
    with pytest.raises(RatingsError, match="nothing was published.*" + message):
        require_readable(ratings)


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=90),
            st.text(min_size=1, max_size=90),
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(631_152_000, 1_750_000_000),
        ),
        max_size=5,
    )
)
def test_what_is_published_can_be_read(rows):
    try:
        ratings = Ratings.from_events(*map(list, zip(*rows, strict=True))) if rows else RATINGS
        require_readable(ratings)
    except RatingsError:
        return
    for event in events(ratings):
        decode_rating(Record("ratings", 0, 0, None, encode_rating(event), 1_764_000_000_000))


def test_the_first_rating_is_acknowledged_before_others_are_sent():
    class Refusing(Sent):
        def flush(self):
            raise TimeRefusedError("refused")

    sink = Refusing()
    with pytest.raises(TimeRefusedError):
        publish_ratings(RATINGS, sink, KafkaSettings(), pace=Pace(None))
    assert len(sink.outputs) == 1


def test_published_ratings_and_features_arrive_on_their_topics(settings):
    admin = Admin(settings)
    topics.create(admin, settings)
    producer = Producer(settings)
    publish_ratings(RATINGS, producer, settings, pace=Pace(None))
    publish_features({"u1": {"age": 25}}, producer, settings.topic("users"))
    publish_features({"i1": {"title": "One"}, "i2": {}}, producer, settings.topic("items"))
    records = {name: read(settings, name, n) for name, n in [("ratings", 4), ("users", 1), ("items", 2)]}
    found = [decode_rating(record) for record in records["ratings"]]
    assert sorted(found, key=lambda event: event.timestamp) == EVENTS
    for record, event in zip(records["ratings"], found, strict=True):
        assert record.key == event.user.encode()
        assert record.partition == partition_for(record.key, 4)
        assert list(record.headers) == []
    assert [decode_user(record).features for record in records["users"]] == [{"age": 25}]
    assert {item.id: item.features for item in map(decode_item, records["items"])} == {
        "i1": {"title": "One"},
        "i2": {},
    }
    admin.delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


def read(settings, name, n):
    consumer = Consumer(settings, group=settings.prefix + "reader", start="earliest")
    consumer.assign({Partition(settings.topic(name), i): BEGINNING for i in range(4)})
    found = []
    eventually(lambda: found.extend(consumer.poll()) or len(found) >= n)
    consumer.close()
    return found
