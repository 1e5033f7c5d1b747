"""Publish a data set: its ratings in time order, keyed by user, and the features of users and items."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dch import Ratings
from dch.data.features import Features
from dch.data.times import FIRST_MS
from dch.errors import RatingsError
from streams import topics
from streams.errors import BadRecord
from streams.kafka.producer import Sink
from streams.kafka.records import Output, Record
from streams.messages import (
    RatingEvent,
    decode_rating,
    encode_features,
    encode_key,
    encode_rating,
)
from streams.settings import KafkaSettings, KeyForm

CHUNK_S = 0.05
"""Seconds of sending between two looks at the clock."""


@dataclass
class Pace:
    """Limits the records sent per second: ``wait`` sleeps until the next are due; None is no limit."""

    rate: float | None
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    @property
    def chunk(self) -> int:
        """Number of records to send between two waits."""
        return 1000 if self.rate is None else max(1, int(self.rate * CHUNK_S))

    def wait(self, n_sent: int) -> None:
        """Sleep until the time at which ``n_sent`` should have been sent."""
        if self.rate is not None:
            self.sleep(max(0.0, self.started + n_sent / self.rate - self.now()))


def publish_ratings(
    ratings: Ratings,
    sink: Sink,
    settings: KafkaSettings,
    *,
    pace: Pace,
    advance: Callable[[int], None] = lambda n: None,
) -> int:
    """Send every rating in time order, wait for the acknowledgements, and return the number of ratings.

    Args:
        ratings: the ratings; a rating without a time, or with a place in an order, gets the current time.
        sink: the producer.
        settings: settings that give the name of the topic.
        pace: the rate of sending.
        advance: called from time to time with the number of ratings sent since its last call.

    Raises:
        DeliveryError: a rating was not acknowledged.
    """
    sent = 0
    for event in events(ratings):
        sink.send(Output(settings.topic(topics.RATINGS.name), event.user.encode(), encode_rating(event)))
        sent += 1
        if sent == 1:
            sink.flush()  # a broker that refuses all refuses the first, too
        if sent % pace.chunk == 0:
            advance(pace.chunk)
            pace.wait(sent)
    sink.flush()
    advance(sent % pace.chunk)
    return sent


def publish_features(features: Mapping[str, Features], sink: Sink, topic: str, form: KeyForm = "auto") -> int:
    """Send the features of every id, wait for the acknowledgements, and return the number of ids.

    Args:
        features: by id.
        sink: the producer.
        topic: full name of the topic.
        form: how integers are written as keys, see ``encode_key``.
    """
    for id_, record in features.items():
        sink.send(Output(topic, encode_key(id_, form), encode_features(record)))
    sink.flush()
    return len(features)


def require_readable(ratings: Ratings) -> None:
    """Require that workers take every rating: of all values, only ids and times may be beyond their bounds.

    Raises:
        RatingsError: they would not; names the rating at fault.
    """
    now_ms = int(time.time() * 1000)
    tries = [RatingEvent(id_, "i", 1.0, now_ms) for id_ in ratings.user_ids]
    tries += [RatingEvent("u", id_, 1.0, now_ms) for id_ in ratings.item_ids]
    for event in (*tries, *_latest(ratings)):
        try:
            decode_rating(Record("", 0, 0, None, encode_rating(event), now_ms))
        except BadRecord as error:
            found = f"user {event.user[:40]!r}, item {event.item[:40]!r}"
            raise RatingsError(f"nothing was published; workers would refuse {found}: {error}") from error


def _latest(ratings: Ratings) -> list[RatingEvent]:
    last = ratings.subset(np.arange(max(len(ratings) - 1, 0), len(ratings)))
    return list(events(last))


def events(ratings: Ratings) -> Iterator[RatingEvent]:
    """Yield the ratings as rating events, oldest first."""
    user_ids, item_ids = ratings.user_ids, ratings.item_ids
    columns = zip(ratings.users, ratings.items, ratings.values, ratings.timestamps, strict=True)
    for user, item, value, timestamp in columns:
        rating = round(float(value), 6)  # float32 holds 4.1 as 4.099999904...
        time_ms = int(timestamp) if timestamp >= FIRST_MS else int(time.time() * 1000)
        yield RatingEvent(user_ids[user], item_ids[item], rating, time_ms)
