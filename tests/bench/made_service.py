"""Set up a service with a made-up catalogue of any size on a real Apache Kafka, and load it with ratings."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer as BareProducer
from kafka_setup import world_on
from made_catalogue import made_features, made_ratings, service_model
from random_models import random_model

from streams.messages import encode_features
from streams.worker.models import warm_up
from tests.streams.brokers import ROOT, eventually, real_broker
from tests.streams.world import environ, is_ready

SIZES = (3_700, 100_000, 1_000_000)
LONG_S = 900
"""Longest wait of a benchmark for one condition."""


@contextmanager
def made_service(n_items):
    """Yield a world with n_items items on the topic `items`, and a published model that knows them."""
    warm_up(random_model())  # kernels are compiled before a worker is measured
    with tempfile.TemporaryDirectory() as folder, real_broker(Path(folder) / "kafka") as address:
        world = world_on(address, Path(folder))
        world.n_items = n_items
        world.publish(service_model(n_items))
        with bare_producer(world) as producer:
            for row in range(n_items):
                send(producer, world.topic("items"), f"i{row}".encode(), encode_features(made_features(row)))
        try:
            yield world
        finally:
            world.watcher.close()


@contextmanager
def bare_producer(world, **options):
    """Yield a producer of librdkafka that writes as clients of this service should, and flush it."""
    found = BareProducer(
        {
            "bootstrap.servers": world.settings.bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
        | options
    )
    yield found
    assert found.flush(60) == 0, "the broker does not take the records"


def send(producer, topic, key, value):
    """Queue one record, and wait while the queue is full."""
    while True:
        try:
            return producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.1)


def publish_at_once(world, n, seed):
    """Publish n ratings in one transaction: all of them become visible to the worker when this returns."""
    with bare_producer(world, **{"transactional.id": f"{world.settings.prefix}bench"}) as producer:
        producer.init_transactions(60)
        producer.begin_transaction()
        for key, value in records(n, world.n_items, seed):
            send(producer, world.topic("ratings"), key, value)
        producer.commit_transaction(60)


def records(n, n_items, seed):
    """Yield key and value of n ratings."""
    columns = [column.tolist() for column in made_ratings(n, n_items, seed)]
    for user, item, value, time_ms in zip(*columns, strict=True):
        yield (
            b"u%d" % user,
            b'{"user":"u%d","item":"i%d","rating":%d,"timestamp":%d}'
            % (
                user,
                item,
                value,
                time_ms,
            ),
        )


def n_committed(world, name="ratings"):
    """Return how many records of a topic the worker has committed, with the markers of transactions."""
    return sum(world.committed(name).values())


class Worker:
    """``dch worker`` as a process, with the times of its life."""

    def __init__(self, world):
        self.world, self.log = world, world.folder / f"worker-{time.monotonic_ns()}.log"
        self.started = time.perf_counter()
        command = [*os.environ.get("BENCH_WRAPPER", "").split(), sys.executable, "-m", "streams", "worker"]
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ(world.settings), stderr=errors)

    def wait_until_ready(self):
        """Return the seconds from its start until it is ready."""

        def ready():
            assert self.process.poll() is None, self.log.read_text()
            return is_ready(self.world.settings.metrics_port)

        eventually(ready, LONG_S, every_s=0.1)
        return time.perf_counter() - self.started

    def memory_mib(self, field="VmRSS"):
        """Return its resident memory in MiB; ``VmHWM`` is the largest so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024

    def cpu_seconds(self):
        """Return the processor time that it has used so far, user and system, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self):
        """Stop it as an orchestrator does; return the seconds until it ended, and its exit code."""
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        return time.perf_counter() - started, code


@contextmanager
def running_worker(world):
    """Yield a worker, and stop it at the end if it still runs."""
    found = Worker(world)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.terminate()


def feeding(world, per_s):
    """Publish ratings at a pace, from a process of its own, until the end of the block."""
    return beside("feed.py", world, world.topic("ratings"), per_s, world.n_items)


def sending_heavy(world, per_s, n_history):
    """Send requests with histories of so many items at a pace, from a process of its own."""
    topics = world.topic("requests"), world.topic("recommendations")
    return beside("heavy.py", world, *topics, per_s, world.n_items, n_history)


@contextmanager
def beside(program, world, *options):
    """Run a program beside the block; its first line says that it has begun, its last what it did."""
    command = [sys.executable, Path(__file__).with_name(program), world.settings.bootstrap_servers]
    process = subprocess.Popen([*command, *map(str, options)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        yield
        assert process.poll() is None, f"{program} ended before what was measured beside it: {process.poll()}"
    finally:
        process.terminate()
        print("  " + process.communicate(timeout=30)[0].strip())
