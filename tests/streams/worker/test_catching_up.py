"""When a worker counts as caught up: by positions, never by silence; and what it may commit by then."""

import logging
import math
import threading
import time
import urllib.request

import pytest
from random_models import random_model

from streams.kafka.records import Output
from streams.metrics import CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS
from streams.settings import WorkerSettings
from streams.worker.assignment import Assignment
from streams.worker.global_tables import GlobalTables
from streams.worker.ingest_loop import Ingest
from streams.worker.main import WorkerFailedError
from streams.worker.requests import Requests
from tests.streams import transactions
from tests.streams.brokers import alter_quota, eventually, free_ports, own_cluster
from tests.streams.world import SETTINGS, Running, World, worker

MODEL = random_model(bits=64, hidden=64, n_users=40, n_items=60)
IDS = range(12)


def records_of(world, name):
    """Return one record for each of twelve ids, so that every partition of a topic gets some."""
    prefix = "i" if name == "items" else "u"
    keys = [f"{prefix}{n}" for n in IDS]
    values = [transactions.rating(key, n) if name == "ratings" else b"{}" for n, key in enumerate(keys)]
    return [Output(world.topic(name), key.encode(), value) for key, value in zip(keys, values, strict=True)]


def metric(world, name):
    """Return the largest value of a gauge over all partitions; None before there is any."""
    url = f"http://127.0.0.1:{world.settings.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as found:
        lines = found.read().decode().splitlines()
    found = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{")]
    return max(found) if found else None


SHORT = {("users", "commit"), ("ratings", "open")}
TRANSACTIONS = [
    pytest.param(name, how, marks=[] if (name, how) in SHORT else pytest.mark.prove)
    for name in ("users", "items", "ratings")
    for how in ("commit", "abort", "open")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "how"), TRANSACTIONS)
def test_a_worker_is_ready_though_partitions_end_with_a_transaction(world, name, how):
    world.publish(MODEL)
    world.rate(*[(f"u{n}", "i1", 5.0) for n in IDS])
    kept = transactions.write(world.settings, records_of(world, name), how)
    with transactions.busy_ratings(world), worker(world.settings):  # ready although records keep coming
        assert [world.ask(f"u{n}").user for n in IDS] == [f"u{n}" for n in IDS]
    for gauge in (CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS):
        gauge.clear()  # what other tests of this process have left
    with worker(world.settings):
        eventually(lambda: metric(world, "dch_consumer_lag_records") == 0)
        eventually(lambda: metric(world, "dch_consumer_lag_seconds") == 0)
        transactions.end(kept, "commit" if how == "open" else "none")
        eventually(lambda: world.committed("ratings") == world.ends("ratings"))
        eventually(lambda: metric(world, "dch_consumer_lag_records") == 0)


@pytest.mark.parametrize(
    ("owner", "method", "topic"),
    [
        (Ingest, "process", "ratings"),
        (Assignment, "record_positions", "ratings"),
        (GlobalTables, "process", "items"),
        (Requests, "_answer_all", "requests"),
    ],
)
def test_what_a_thread_polled_and_did_not_apply_is_not_committed(world, monkeypatch, owner, method, topic):
    world.publish(MODEL)
    original = getattr(owner, method)
    poisoned = threading.Event()

    def fail(self, *args):
        if poisoned.is_set() and (owner is Assignment or (args and args[0])):
            raise RuntimeError("injected")
        return original(self, *args)

    monkeypatch.setattr(owner, method, fail)
    running = Running(world.settings)
    eventually(running.is_ready, 60)
    groups = {"items": "-tables", "requests": "-requests"}
    before = world.committed(topic, groups.get(topic, ""))
    poisoned.set()
    for n in range(5):
        value = transactions.rating("u1", n) if topic == "ratings" else b'{"user": "u1"}'
        world.producer.send(Output(world.topic(topic), b"u1", value))
    world.producer.flush()
    with pytest.raises(WorkerFailedError, match="injected"):
        running.done.result(30)
    assert world.committed(topic, groups.get(topic, "")) == before
    monkeypatch.undo()
    if topic == "ratings":
        with worker(world.settings):
            assert len(set(world.item_ratings())) == 5  # some maybe twice
            eventually(lambda: world.committed("ratings") == world.ends("ratings"))


class Gate:
    """Holds ingest in the middle of its replay until it is opened."""

    def __init__(self, monkeypatch, after):
        self.reached, self.opened = threading.Event(), threading.Event()
        self.n, self.last_at = 0, math.inf
        original = Ingest.process

        def process(ingest, records):
            original(ingest, records)
            self.n += len(records)
            self.last_at = time.monotonic() if records else self.last_at
            if self.n >= after:
                self.reached.set()
                assert self.opened.wait(60)

        monkeypatch.setattr(Ingest, "process", process)


@pytest.mark.real_broker
@pytest.mark.broker
@pytest.mark.prove
def test_a_broker_that_hangs_in_mid_replay_is_not_taken_for_the_end(tmp_path, prefix, monkeypatch, caplog):
    small = {"queued.max.messages.kbytes": "64", "socket.timeout.ms": "6000", "session.timeout.ms": "45000"}
    small |= dict.fromkeys(("fetch.max.bytes", "message.max.bytes", "max.partition.fetch.bytes"), "20000")
    n = 20_000
    with own_cluster(tmp_path / "kafka") as cluster:
        settings = WorkerSettings(
            bootstrap_servers=cluster.address, prefix=prefix, artifacts=str(tmp_path / "store"), **SETTINGS
        ).replace(metrics_port=free_ports(2))
        world = World(settings, tmp_path)
        world.publish(MODEL)
        world.rate(*[(f"u{at % 40}", f"i{at % 59}", float(at % 5 + 1), at) for at in range(n)])
        with worker(settings):
            eventually(lambda: sum(world.committed("ratings").values()) == n, 60)
            eventually(lambda: world.committed("item-ratings") == world.ends("item-ratings"), 60)
        before = {name: world.committed(name) for name in ("ratings", "users", "item-ratings")}
        gate = Gate(monkeypatch, n // 10)
        running = Running(settings.replace(kafka=small, batch_records=500, broker_timeout_s=60))
        try:
            assert gate.reached.wait(60)
            with cluster.paused(), caplog.at_level(logging.DEBUG, "streams.kafka"):
                gate.opened.set()
                eventually(lambda: "Timed out FetchRequest" in caplog.text, 60)  # over 6 s without records
                assert not running.is_ready()
                assert gate.n < n, "everything was read before the broker hung"
            eventually(lambda: commits_never_below(world, before) and running.is_ready(), 120)
            assert gate.n >= sum(sum(world.ends(name).values()) for name in before)
            expect_complete_answers(world, before)
        finally:
            running.end()
            world.close()


@pytest.mark.real_broker
@pytest.mark.broker
@pytest.mark.prove
def test_a_consumer_quota_is_not_taken_for_the_end(tmp_path, prefix, monkeypatch):
    n = 20_000
    with own_cluster(tmp_path / "kafka") as cluster:
        settings = WorkerSettings(
            bootstrap_servers=cluster.address, prefix=prefix, artifacts=str(tmp_path / "store"), **SETTINGS
        ).replace(
            metrics_port=free_ports(2), kafka={"fetch.max.bytes": "200000", "message.max.bytes": "200000"}
        )
        world = World(settings, tmp_path)
        world.publish(MODEL)
        world.rate(*[(f"u{at % 40}", f"i{at % 59}", float(at % 5 + 1), at) for at in range(n)])
        with worker(settings):
            eventually(lambda: sum(world.committed("ratings").values()) == n, 60)
            eventually(lambda: world.committed("item-ratings") == world.ends("item-ratings"), 60)
        before = {name: world.committed(name) for name in ("ratings", "users", "item-ratings")}
        gate = Gate(monkeypatch, 1)
        gate.opened.set()
        alter_quota(cluster.address, "--add-config", "consumer_byte_rate=20000")
        running = Running(settings)
        try:
            assert gate.reached.wait(120)
            eventually(lambda: time.monotonic() - gate.last_at > 6, 240)  # seconds without a record
            assert "caught up" in running.not_ready()
            assert gate.n < n, "everything was read before the quota held it up"
            alter_quota(cluster.address, "--delete-config", "consumer_byte_rate")
            eventually(lambda: commits_never_below(world, before) and running.is_ready(), 240)
            expect_complete_answers(world, before)
        finally:
            running.end()
            world.close()


def expect_complete_answers(world, before):
    """All codes are the library's own, and no committed offset moved back."""
    expected = world.expected(MODEL)
    users = [f"u{at}" for at in range(40)]
    assert {user: world.ask(user, k=1).code for user in users} == {
        user: expected.user_code(user).hex() for user in users
    }
    eventually(lambda: world.item_codes() == expected.item_codes(), 30)
    assert commits_never_below(world, before)


def commits_never_below(world, before):
    """Return True; fail if a committed offset moved back."""
    for name, offsets in before.items():
        found = world.committed(name)
        assert all(found[number] >= offset for number, offset in offsets.items()), (name, offsets, found)
    return True
