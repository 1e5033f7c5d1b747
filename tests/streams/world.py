"""What tests of the worker need around it: a model in the store, topics, people who rate and ask."""

import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from models import random_model

from dch.artifact import save_model
from streams import artifacts, topics
from streams.ask import Asker
from streams.clients import Admin, Consumer, Partition, Producer
from streams.messages import (
    MODEL_KEY,
    ModelPointer,
    RatingEvent,
    RecommendRequest,
    encode_features,
    encode_model_pointer,
    encode_rating,
)
from streams.partitioner import partition_for
from streams.records import Output
from streams.worker import serve
from tests.streams.brokers import eventually

SETTINGS = {"batch_wait_s": 0.01, "encode_interval_s": 0.05, "partitions": 4}
"""Quick, so that tests wait for little."""


class World:
    """Topics of its own on a broker, an artifact store, and a hand to write and read with."""

    def __init__(self, settings, folder):
        self.settings = settings
        self.folder = folder
        self.admin = Admin(settings)
        topics.create(self.admin, settings)
        self.producer = Producer(settings, linger_ms=0)

    def topic(self, name):
        return self.settings.topic(name)

    def close(self):
        self.producer.close()
        self.admin.delete([self.topic(topic.name) for topic in topics.EVERY_TOPIC])

    def send(self, name, key, value, **kwargs):
        """Send one record and wait until it is there."""
        key = key.encode() if isinstance(key, str) else key
        value = value.encode() if isinstance(value, str) else value
        self.producer.send(Output(self.topic(name), key, value, **kwargs))
        self.producer.flush()

    def rate(self, *events):
        """Send rating events (user, item, rating[, timestamp])."""
        for at, (user, item, rating, *rest) in enumerate(events):
            event = RatingEvent(user, item, rating, rest[0] if rest else 1000 + at)
            self.producer.send(Output(self.topic("ratings"), user.encode(), encode_rating(event)))
        self.producer.flush()

    def describe(self, name, features):
        for id_, record in features.items():
            self.send(name, id_, encode_features(record))

    def publish(self, model=None, watermarks=None, **changes):
        """Put a model into the store and send its pointer, with fields changed as told."""
        model = model or random_model()
        draft = self.folder / f"draft-{model.generation}"
        save_model(draft, model)
        location = artifacts.location_of(self.settings.artifacts, model.generation)
        pointer = {
            "generation": model.generation,
            "location": location,
            "sha256": artifacts.upload(draft, location),
            "watermarks": watermarks or {},
            "trained_at": int(time.time() * 1000),
            "metrics": {},
        }
        self.send("models", MODEL_KEY, encode_model_pointer(ModelPointer(**pointer | changes)))
        return model

    def ask(self, user=None, **kwargs):
        with Asker(self.settings) as asker:
            return asker.ask(RecommendRequest(user=user, **kwargs))

    def items_for(self, user, **kwargs):
        return [hit.item for hit in self.ask(user, **kwargs).items]

    def read_all(self, name):
        """Return every record that is in a topic now."""
        partitions = self.admin.partitions()[self.topic(name)]
        places = [Partition(self.topic(name), number) for number in range(partitions)]
        consumer = Consumer(self.settings, group=self.settings.prefix + "reader", start="earliest", fill_s=0)
        try:
            ends = consumer.ends(places)
            left = {place for place in places if ends[place] > consumer.starts([place])[place]}
            consumer.assign(dict.fromkeys(places, 0))
            records = []

            def done():
                records.extend(consumer.poll(0.1))
                return all((consumer.position(place) or 0) >= ends[place] for place in left)

            eventually(done)
            return records
        finally:
            consumer.close()

    def committed(self, name, group="worker"):
        """Return the committed offset of every partition of a topic."""
        consumer = Consumer(self.settings, group=self.settings.prefix + group, start="earliest")
        try:
            places = [Partition(self.topic(name), number) for number in range(self.settings.partitions)]
            return {place.partition: offset for place, offset in consumer.committed(places).items()}
        finally:
            consumer.close()

    def item_codes(self):
        """Return the newest value of every key of `item-codes`."""
        return {record.key: record.value for record in self.read_all("item-codes")}

    def home(self, id_):
        return partition_for(id_.encode(), self.settings.partitions)


class Running:
    """A worker in threads of this process."""

    def __init__(self, settings):
        self.settings = settings
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(1)
        self.done = self.pool.submit(serve, settings, self.stop)

    def is_ready(self):
        if self.done.done():
            self.done.result()
        return is_ready(self.settings.metrics_port)

    def end(self):
        self.stop.set()
        self.done.result(15)
        self.pool.shutdown()


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


@contextmanager
def worker(settings, *, ready=True):
    """Run a worker, by default until it is ready before the test goes on."""
    running = Running(settings)
    try:
        if ready:
            eventually(running.is_ready, 60)
        yield running
    finally:
        running.end()
