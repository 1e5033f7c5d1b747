"""The surroundings of a worker under test: topics, an artifact store, and clients that rate and ask."""

import math
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

import msgspec
from random_models import random_model

from dch.artifact import save_model
from dch.models.codes import from_words
from dch.recommender import Recommender
from streams import artifacts, topics
from streams.client import RecommendClient
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output
from streams.messages import (
    RatingEvent,
    RecommendRequest,
    decode_item_code,
    decode_item_rating,
    decode_rating,
    encode_features,
    encode_rating,
)
from streams.messages.item_ratings import joined
from streams.settings import ClientSettings
from streams.worker import serve
from tests.streams.brokers import ROOT, eventually

READY_S = 240
"""A first worker may have to compile its kernels, on a busy machine."""

BASE_MS = 1_700_000_000_000
"""The time from which the timestamps of ``World.rate`` count."""

SETTINGS = {"batch_wait_s": 0.01, "encode_interval_s": 0.05, "partitions": 4}
"""Short intervals, so that tests do not wait long."""


class World:
    """Separate topics on a broker, an artifact store, and methods to write and read records."""

    def __init__(self, settings, folder):
        self.settings = settings
        self.folder = folder
        self.admin = Admin(settings)
        topics.create(self.admin, settings)
        self.producer = Producer(settings, linger_ms=0)
        self._watchers = {}

    def topic(self, name):
        return self.settings.topic(name)

    def close(self):
        self.producer.close()
        for client in {"client", "watcher"} & vars(self).keys():
            vars(self)[client].close()
        for watcher in self._watchers.values():
            watcher.close()
        self.admin.delete([self.topic(topic.name) for topic in topics.EVERY_TOPIC])

    def send(self, name, key, value, **kwargs):
        """Send one record and wait until it is acknowledged."""
        key = key.encode() if isinstance(key, str) else key
        value = value.encode() if isinstance(value, str) else value
        self.producer.send(Output(self.topic(name), key, value, **kwargs))
        self.producer.flush()

    def rate(self, *events, misroute=0):
        """Send rating events (user, item, rating[, timestamp]); each ``misroute``-th misrouted."""
        for at, (user, item, rating, *rest) in enumerate(events):
            event = RatingEvent(user, item, rating, BASE_MS + (rest[0] if rest else 1000 + at))
            partition = None
            if misroute and at % misroute == 0:
                partition = (self.owner_of(user) + 1) % self.settings.partitions
            self.producer.send(Output(self.topic("ratings"), user.encode(), encode_rating(event), partition))
        self.producer.flush()

    def describe(self, name, features):
        for id_, record in features.items():
            self.send(name, id_, encode_features(record))

    def publish(self, model=None, **changes):
        """Publish a model, with the given fields of its pointer changed."""
        model = model or random_model()
        draft = self.folder / f"draft-{model.generation}"
        save_model(draft, model)
        pointer = artifacts.upload_model(self.settings.artifacts, draft, watermarks={})
        artifacts.publish_pointer(self.settings, msgspec.structs.replace(pointer, **changes))
        return model

    @cached_property
    def client(self):
        patient = self.settings.as_role(ClientSettings, request_timeout_s=60)  # the machine may be busy
        return RecommendClient(patient)

    def ask(self, user=None, **kwargs):
        return self.client.ask(RecommendRequest(user=user, **kwargs))

    def items_for(self, user=None, **kwargs):
        return [hit.item for hit in self.ask(user, **kwargs).items]

    def read_all(self, name):
        """Return every record that a topic holds now."""
        partitions = self.admin.partitions()[self.topic(name)]
        places = [Partition(self.topic(name), number) for number in range(partitions)]
        consumer = Consumer(self.settings, group=self.settings.prefix + "reader", start="earliest", fill_s=0)
        try:
            ends = consumer.end_offsets(places)
            left = {place for place in places if ends[place] > consumer.beginning_offsets([place])[place]}
            consumer.assign(dict.fromkeys(places, 0))
            records = []

            def done():
                records.extend(consumer.poll(0.1))
                return all((consumer.position(place) or 0) >= ends[place] for place in left)

            eventually(done)
            return records
        finally:
            consumer.close()

    def item_ratings(self):
        """Return every event on `item-ratings`: user, item, rating, time and offset."""
        columns = joined(map(decode_item_rating, self.read_all("item-ratings"))).as_tuple()
        return list(zip(*columns, strict=True))

    def committed(self, name, group=""):
        """Return the committed offset of every partition of a topic; ``group`` is what follows "worker"."""
        places = [Partition(self.topic(name), number) for number in range(self.settings.partitions)]
        watcher = self._watcher_of(group) if group else self.watcher
        return {place.partition: offset for place, offset in watcher.committed(places).items()}

    def _watcher_of(self, group):
        if group not in self._watchers:
            name = self.settings.group_of("worker") + group
            self._watchers[group] = Consumer(self.settings, group=name, start="earliest")
        return self._watchers[group]

    def ends(self, name):
        """Return the offset after the last record of every partition of a topic."""
        places = [Partition(self.topic(name), number) for number in range(self.settings.partitions)]
        return {place.partition: offset for place, offset in self.watcher.end_offsets(places).items()}

    @cached_property
    def watcher(self):
        """A consumer that reads the worker's committed offsets without joining its group."""
        return Consumer(self.settings, group=self.settings.group_of("worker"), start="earliest")

    def item_codes(self):
        """Return the newest (generation, code, positives) of every item of `item-codes`."""
        found = dict(map(decode_item_code, self.read_all("item-codes")))
        return {
            id_: (code.generation, code.code, code.positives)
            for id_, code in found.items()
            if code is not None
        }

    def expected(self, model, items=None):
        """Return a recommender with all ratings on `ratings` applied by the library alone.

        Ratings that a tombstone on `users` forgets are left out, whether or not a worker withdrew them.
        """
        share = self.settings.new_item_share
        state = (found := Expected(model, new_item_share=share)).state
        for id_, features in (items or {}).items():
            state.set_item(id_, features)
        forgotten = {
            record.key.decode(): record.timestamp_ms
            for record in self.read_all("users")
            if record.value is None
        }
        decoded = [(decode_rating(record), record) for record in self.read_all("ratings")]
        pairs = [
            (event, record.offset)
            for event, record in decoded
            if self.owner_of(event.user) == record.partition
            and event.timestamp > forgotten.get(event.user, -1)
        ]
        found.fold(pairs)
        return found

    def owner_of(self, id_):
        """Return the partition that an id belongs to."""
        return partition_for(id_.encode(), self.settings.partitions)


class Expected(Recommender):
    """A recommender without a broker, and its item codes as a worker publishes them."""

    def fold(self, pairs):
        """Apply rating events, each with its offset, to users and items."""
        events = self.state.events(
            [event.user for event, _ in pairs],
            [event.item for event, _ in pairs],
            [math.nan if event.rating is None else event.rating for event, _ in pairs],
            [event.timestamp for event, _ in pairs],
            [offset for _, offset in pairs],
        )
        self.state.fold_in_users(events)
        self.state.fold_in_items(events)
        self.state.refresh_items()

    def item_codes(self):
        """Return (generation, code, positives) of every item that has a code."""
        index, ids = self.state.snapshot.item_index, self.state.history.item_ids
        rows = index.rows_with_code()
        codes = index.codes(rows)
        packed = from_words(codes.words, index.bits)
        return {
            ids[row]: (index.generation, code.tobytes().hex(), positives)
            for row, code, positives in zip(rows.tolist(), packed, codes.popularity.tolist(), strict=True)
        }


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

    def not_ready(self):
        """Return the answer of /readyz while the worker is not ready; empty if there is no answer."""
        return not_ready(self.settings.metrics_port)

    def end(self):
        self.stop.set()
        self.done.result(15)
        self.pool.shutdown()


class Process:
    """``dch worker`` as a process that logs to a file."""

    def __init__(self, settings, log):
        self.settings = settings
        self.log = log
        with log.open("w") as errors:
            command = [sys.executable, "-m", "streams", "worker"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ(settings), stderr=errors)

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()
        return is_ready(self.settings.metrics_port)

    def not_ready(self):
        """Return the answer of /readyz while the worker is not ready; empty if there is no answer."""
        return not_ready(self.settings.metrics_port)

    def last_log_line(self, words):
        """Return the last line of the log that contains these words, or None."""
        return next((line for line in reversed(self.log.read_text().splitlines()) if words in line), None)

    def kill(self):
        """Kill the process, as in a crash."""
        self.process.kill()
        self.process.wait()

    def terminate(self, within_s=15):
        """Stop the process as an orchestrator does; return the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def environ(settings):
    """Return the environment variables of a role with these settings."""
    return os.environ | settings.variables()


@contextmanager
def worker_process(settings, log, *, ready=True):
    """Run ``dch worker`` as a process; by default, wait until it is ready."""
    found = Process(settings, log)
    try:
        if ready:
            eventually(found.is_ready, READY_S)
        yield found
    finally:
        if found.process.poll() is None:
            assert found.terminate() == 0, log.read_text()


def not_ready(port):
    """Return the answer of /readyz while a role is not ready; empty if there is no answer."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:  # no answer, or none in time on a busy machine
        pass
    return ""


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:  # no answer, or none in time on a busy machine
        return False


@contextmanager
def worker(settings, *, ready=True):
    """Run a worker in this process; by default, wait until it is ready."""
    running = Running(settings)
    try:
        if ready:
            eventually(running.is_ready, READY_S)
        yield running
    finally:
        running.end()
