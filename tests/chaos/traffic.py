"""What is published in a run: ratings, tombstones of real users and items, and mutated records."""

import argparse
import math
import time

import numpy as np

from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import RatingEvent, encode_rating
from tests.chaos.mutations import a_name, mutated
from tests.streams.foreign_headers import foreign_producer
from tests.streams.world import World

N_ASKED = 300
"""The first users are asked for all the time. None of them withdraws a rating or is forgotten."""

FIRST_MS = 1_700_000_000_000
FOREIGN_EVERY = 50
"""One in so many mutated records has a header whose name is any bytes."""


class Traffic:
    """The publishers of a run."""

    def __init__(self, world: World, options: argparse.Namespace, rng: np.random.Generator) -> None:
        self._world, self._settings, self._options, self._rng = world, world.settings, options, rng
        self.n_allowed: float = math.inf
        """Ratings that may be published now."""

        self.n_published = 0
        self.forgotten: list[str] = []
        self.removed: list[str] = []

    def events(self) -> list[RatingEvent]:
        """Return the ratings: skewed users and items; one in fifty is a withdrawal, but of no asked user."""
        n = self._options.ratings
        users = (self._options.users * self._rng.random(n) ** 2).astype(int).tolist()
        items = (self._options.items * self._rng.random(n) ** 2).astype(int).tolist()
        values = self._rng.integers(1, 6, n).tolist()
        gone = (self._rng.random(n) < 0.02).tolist()
        return [
            RatingEvent(
                f"u{user}",
                f"i{item}",
                None if is_gone and user >= N_ASKED else float(value),
                FIRST_MS + at // 3,
            )
            for at, (user, item, value, is_gone) in enumerate(zip(users, items, values, gone, strict=True))
        ]

    def publish(self, events: list[RatingEvent], *, pace_s: float = 0.0, n_tombstones: int = 0) -> None:
        """Publish ratings up to ``n_allowed``, one in five misrouted; every 500 are acknowledged.

        Spread over them, users are forgotten, and half as many items are removed: each at the time of a
        rating, so that later ones count again.
        """
        producer = Producer(self._settings)
        tombstones = set(np.linspace(0, len(events) - 1, n_tombstones).astype(int).tolist())
        for at, event in enumerate(events):
            key = event.user.encode()
            producer.send(
                Output(
                    self._world.topic("ratings"), key, encode_rating(event), self._partition(event.user, at)
                )
            )
            if at in tombstones:
                self._forget(producer, event)
            self.n_published += 1
            if at % 500 == 499:
                producer.flush()
                time.sleep(pace_s)
                while self.n_published > self.n_allowed:
                    time.sleep(0.1)
        producer.flush()
        producer.close()

    def publish_mutated(self) -> None:
        """Publish the mutated records; some come from a client that writes any bytes as names of headers."""
        compressed = {"message.max.bytes": "8000000", "compression.type": "gzip"}
        producer = Producer(self._settings.replace(kafka=compressed))
        with foreign_producer(self._settings.bootstrap_servers) as send:
            for at, output in enumerate(mutated(self._settings, self._options.mutated, self._options.seed)):
                if at % FOREIGN_EVERY == 0 and len(output.value) < 100_000:
                    send(output.topic, output.partition, output.key, output.value, (a_name(self._rng),))
                else:
                    producer.send(output)
                if at % 1000 == 999:
                    producer.flush()
            producer.flush()
        producer.close()

    def _partition(self, id_: str, at: int) -> int:
        owner = self._world.owner_of(id_)
        return (owner + 1) % self._settings.partitions if at % 5 == 0 else owner

    def _forget(self, producer: Producer, event: RatingEvent) -> None:
        user = event.user
        if int(user[1:]) < N_ASKED:
            user = f"u{self._rng.integers(N_ASKED, self._options.users)}"
        gone = [("users", user, self.forgotten)]
        if len(self.forgotten) % 2:
            gone.append(("items", event.item, self.removed))
        for name, id_, found in gone:
            found.append(id_)
            partition = self._partition(id_, len(found))
            producer.send(
                Output(self._world.topic(name), id_.encode(), None, partition, timestamp_ms=event.timestamp)
            )
