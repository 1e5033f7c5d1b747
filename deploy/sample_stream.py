"""Publish an endless stream of made-up ratings and requests: to try the service, never to measure quality.

Users have a taste, a group of items that they like; items have a popularity. New users and new items keep
arriving. Features tell the taste of a user and the group of an item; some new users ask for a list before
they rate, when features are all that is known about them. Environment variables name the brokers and the
prefix, as for dch.

Example: DCH_BOOTSTRAP_SERVERS=localhost:29092 python deploy/sample_stream.py --ratings-per-s 200
"""

import argparse
import json
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from streams import topics
from streams.kafka import Producer
from streams.kafka.records import Headers, Output
from streams.messages import RatingEvent, RecommendRequest, encode_features, encode_rating, encode_request
from streams.messages.headers import request_headers
from streams.settings import KafkaSettings
from streams.settings.sources import load

N_GROUPS = 8
N_USERS, N_ITEMS = 300, 400
NEW_USER_SHARE, NEW_ITEM_SHARE = 0.01, 0.002
"""Shares of the ratings that are of a user, or an item, that nobody has seen before."""

TASTE_SHARE = 0.8
"""Share of the ratings that are within the taste of the user; these are good ones."""

N_EXPECTED = 3
"""Users who have features and no rating yet: they will be the next new ones."""

STEP_S = 0.1


@dataclass
class Crowd:
    """The users and items so far, and what users think of items."""

    random: random.Random
    n_users: int = N_USERS
    n_items: int = N_ITEMS
    newest_items: list[int] = field(default_factory=list)

    def rating(self) -> RatingEvent:
        """Return the next rating."""
        self.n_users += self.random.random() < NEW_USER_SHARE
        self.n_items += self.random.random() < NEW_ITEM_SHARE
        is_newcomer = self.random.random() < 0.2
        user = self.n_users - 1 if is_newcomer else self.random.randrange(self.n_users)
        in_taste = self.random.random() < TASTE_SHARE
        item = self._item(user % N_GROUPS if in_taste else self.random.randrange(N_GROUPS))
        value = self.random.choice((4, 5)) if in_taste else self.random.choice((1, 2, 3))
        return RatingEvent(f"user-{user}", f"item-{item}", float(value), int(time.time() * 1000))

    def _item(self, group: int) -> int:
        """Return an item of a group; early items are more popular, and the newest ones are looked at."""
        n_in_group = (self.n_items - group - 1) // N_GROUPS + 1
        place = min(int(self.random.expovariate(4 / n_in_group)), n_in_group - 1)
        if self.random.random() < 0.05:
            place = n_in_group - 1
        return place * N_GROUPS + group

    def request(self) -> RecommendRequest:
        """Return the next request; one in ten is of a user who has never rated, and has features or none."""
        chance = self.random.random()
        if chance < 0.05:
            return RecommendRequest(user=f"visitor-{self.random.randrange(10**6)}")
        if chance < 0.1:
            return RecommendRequest(user=f"user-{self.n_users + self.random.randrange(N_EXPECTED)}")
        strategy = self.random.choice((None, None, "codes", "popular"))
        return RecommendRequest(user=f"user-{self.random.randrange(self.n_users)}", strategy=strategy)


class Stream:
    """Sends what the crowd does."""

    def __init__(self, settings: KafkaSettings, crowd: Crowd) -> None:
        self._settings, self._crowd = settings, crowd
        self._producer = Producer(settings)
        self._n_users = self._n_items = 0  # described so far

    def describe(self) -> None:
        """Publish the features of the items, and of the users who are here or expected, if they are new."""
        n_users, n_items = self._crowd.n_users + N_EXPECTED, self._crowd.n_items
        for user in range(self._n_users, n_users):
            self._send(topics.USERS.name, f"user-{user}", encode_features({"taste": f"g{user % N_GROUPS}"}))
        for item in range(self._n_items, n_items):
            features = {"title": f"Item {item}", "group": f"g{item % N_GROUPS}"}
            self._send(topics.ITEMS.name, f"item-{item}", encode_features(features))
        self._n_users, self._n_items = n_users, n_items

    def rate(self) -> None:
        """Publish one rating."""
        event = self._crowd.rating()
        self.describe()
        self._send(topics.RATINGS.name, event.user, encode_rating(event), [trace()])

    def break_format(self) -> None:
        """Publish a record that no worker can read."""
        self._send(
            topics.RATINGS.name, "user-0", json.dumps({"user": "user-0", "item": "item-0"})[:-1].encode()
        )

    def ask(self) -> None:
        """Publish one request; its reply goes to the default topic."""
        request = self._crowd.request()
        reply_topic = self._settings.topic(topics.RECOMMENDATIONS.name)
        headers = [*request_headers(uuid.uuid4().bytes, reply_topic), trace()]
        key = (request.user or "").encode()
        name = self._settings.topic(topics.REQUESTS.name)
        self._producer.send(Output(name, key, encode_request(request), headers=headers))

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        self._producer.flush()

    def _send(self, name: str, key: str, value: bytes, headers: Headers = ()) -> None:
        self._producer.send(Output(self._settings.topic(name), key.encode(), value, headers=headers))


def trace() -> tuple[str, bytes]:
    """Return a header with the id of a new trace, as a client with OpenTelemetry sends it."""
    return "traceparent", f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01".encode()


def steps(duration_s: float) -> Iterator[float]:
    """Yield the seconds since the last step, about every tenth of a second."""
    started = before = time.monotonic()
    while time.monotonic() - started < duration_s:
        time.sleep(STEP_S)
        now = time.monotonic()
        yield now - before
        before = now


def main() -> None:
    """Publish until stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings-per-s", type=float, default=100.0)
    parser.add_argument("--requests-per-s", type=float, default=5.0)
    parser.add_argument("--bad-per-s", type=float, default=0.0, help="records that no worker can read")
    parser.add_argument("--first-ratings", type=int, default=4000, help="ratings to publish at once")
    parser.add_argument("--duration-s", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    stream = Stream(load(KafkaSettings), Crowd(random.Random(given.seed)))
    stream.describe()
    for _ in range(given.first_ratings):
        stream.rate()
    stream.flush()
    rates = (
        (given.ratings_per_s, stream.rate),
        (given.requests_per_s, stream.ask),
        (given.bad_per_s, stream.break_format),
    )
    due = [0.0] * len(rates)
    for passed_s in steps(given.duration_s):
        for at, (rate, act) in enumerate(rates):
            due[at] += passed_s * rate
            while due[at] >= 1:
                act()
                due[at] -= 1
        stream.flush()


if __name__ == "__main__":
    main()
