"""Brokers are killed and restarted under a worker and a trainer: no role ends, and nothing is lost."""

import os
import re
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import ge

import pytest
from random_models import random_model

from streams.settings import TrainerSettings, WorkerSettings
from tests.streams.brokers import ROOT, eventually, free_ports, own_cluster
from tests.streams.worker.test_restart import (
    USERS,
    expect_codes_as_without_failures,
    some_ratings,
    two_workers,
)
from tests.streams.world import READY_S, SETTINGS, World, environ, is_ready, worker_process

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.real_broker,
    pytest.mark.broker,
    pytest.mark.prove,
]

MODEL = random_model(bits=64, hidden=64, n_users=40, n_items=60)
LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ (\w+) streams.kafka (.*)")


@contextmanager
def world_of(cluster, folder, prefix):
    settings = WorkerSettings(
        bootstrap_servers=cluster.address, prefix=prefix, artifacts=str(folder / "store"), **SETTINGS
    ).replace(metrics_port=free_ports(2), batch_records=200)
    world = World(settings, folder)
    try:
        yield world
    finally:
        world.close()


@contextmanager
def trainer_process(settings, log):
    """Run ``dch trainer``, which reads and never refits; require that it ends only when told to."""
    own = settings.as_role(TrainerSettings, metrics_port=free_ports(2), refit_ratings=0)
    with log.open("w") as errors:
        command = [sys.executable, "-m", "streams", "trainer"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ(own), stderr=errors)
    try:
        eventually(lambda: is_ready(own.metrics_port), READY_S)
        yield own
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        assert process.wait(20) == 0, log.read_text()


@contextmanager
def rating_all_the_time(world, n):
    """Rate in the background, so that polls, flushes and commits are under way in every outage."""
    stop = threading.Event()
    events = some_ratings(n, seed=3)

    def rate():
        for at in range(0, len(events), 10):
            world.rate(*events[at : at + 10], misroute=7)
            if stop.wait(0.02):
                return

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(rate)
        try:
            yield
        finally:
            stop.set()
            done.result(120)


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as found:
        return found.read().decode()


def n_errors(port, kind):
    found = re.search(rf'dch_broker_errors_total{{kind="{kind}"}} (\S+)', metrics(port))
    return float(found[1])


def n_problems(log):
    return log.read_text().count("broker problem kind=unreachable")


def most_lines_of_a_cause_in_a_second(log):
    """Return the largest number of log lines of one cause in one second of the clock."""
    counts = {}
    for line in log.read_text().splitlines():
        if found := LOG_LINE.match(line):
            second, level, text = found.groups()
            cause = (re.search(r"kind=\w+", text) or re.match(r"\S+", text))[0]
            counts[second, level, cause] = counts.get((second, level, cause), 0) + 1
    return max(counts.values(), default=0)


def expect_as_undisturbed(world):
    """Every rating is applied and committed once, and all codes and replies are the library's own."""
    for name in ("ratings", "item-ratings"):
        eventually(lambda name=name: world.committed(name) == world.ends(name), 90)
    expect_codes_as_without_failures(world, MODEL)
    expected = world.expected(MODEL)
    for user in USERS[:10]:
        hits = [(hit.item, hit.distance) for hit in world.ask(user, k=100, include_rated=True).items]
        assert hits == [(hit.item, hit.distance) for hit in expected.recommend(user, 100, include_rated=True)]


def test_a_broker_killed_for_ten_seconds_ends_no_role_and_changes_no_code(tmp_path, prefix):
    logs = tmp_path / "worker.log", tmp_path / "trainer.log"
    with own_cluster(tmp_path / "kafka") as cluster, world_of(cluster, tmp_path, prefix) as world:
        world.publish(MODEL)
        with worker_process(world.settings, logs[0]) as worker, trainer_process(world.settings, logs[1]):
            port = world.settings.metrics_port
            with rating_all_the_time(world, 6000):
                eventually(lambda: sum(world.committed("ratings").values()) > 500, 60)
                cluster.kill()
                eventually(lambda: "broker reachable" in worker.not_ready(), 30)
                # One line a second at most, so ten more lines are ten seconds at least.
                n_lines = n_problems(logs[0]) + 10
                eventually(lambda: n_problems(logs[0]) >= n_lines, 120)
                assert n_errors(port, "unreachable") >= 10
                cluster.restart()
                eventually(worker.is_ready, READY_S)
            expect_as_undisturbed(world)
            assert worker.process.poll() is None
        assert all(most_lines_of_a_cause_in_a_second(log) <= 2 for log in logs)


def test_three_brokers_restarted_in_turn_end_no_role_and_change_no_code(tmp_path, prefix):
    logs = tmp_path / "worker.log", tmp_path / "trainer.log"
    with (
        own_cluster(tmp_path / "kafka", "--brokers", "3") as cluster,
        world_of(cluster, tmp_path, prefix) as world,
    ):
        world.publish(MODEL)
        with (
            worker_process(world.settings, logs[0]) as worker,
            trainer_process(world.settings, logs[1]) as own,
        ):
            with rating_all_the_time(world, 20_000):
                for broker, crash in zip(cluster.ids, (True, False, True), strict=True):
                    before = sum(world.committed("ratings").values())
                    if crash:
                        cluster.kill(broker)
                    cluster.restart(broker)
                    eventually(lambda n=before: sum(world.committed("ratings").values()) > n + 200, 120)
            expect_as_undisturbed(world)
            assert worker.process.poll() is None
            assert is_ready(own.metrics_port)
        assert all(most_lines_of_a_cause_in_a_second(log) <= 2 for log in logs)


def test_sigterm_ends_a_worker_within_seconds_though_no_broker_answers(tmp_path, prefix):
    with own_cluster(tmp_path / "kafka") as cluster, world_of(cluster, tmp_path, prefix) as world:
        world.publish(MODEL)
        with worker_process(world.settings, tmp_path / "log") as worker:
            cluster.kill()
            eventually(lambda: "broker reachable" in worker.not_ready(), 30)
            assert worker.terminate(within_s=9) == 0
        waiting = worker_process(world.settings, tmp_path / "waiting.log", ready=False)
        with waiting as worker:  # it waits for a broker before it does anything else
            eventually(lambda: "broker reachable" in worker.not_ready(), 30)
            assert worker.terminate(within_s=9) == 0
        cluster.restart()


def test_a_broker_that_hangs_again_and_again_leaves_two_workers_ready(tmp_path, prefix):
    """A client can lose its only broker for good (librdkafka issue 5301); it is replaced then."""
    with own_cluster(tmp_path / "kafka") as cluster, world_of(cluster, tmp_path, prefix) as world:
        world.publish(MODEL)
        world.rate(*some_ratings(600))
        with two_workers(world.settings, tmp_path) as both:
            logs = tmp_path / "log1", tmp_path / "log2"
            for seed in range(1, 1 + int(os.environ.get("DCH_TEST_PAUSES", "3"))):
                with cluster.paused():
                    for worker in both:
                        eventually(lambda one=worker: "broker reachable" in one.not_ready(), 60)
                    n_lines = [n_problems(log) + 10 for log in logs]  # at most one a second
                    eventually(lambda n=n_lines: all(map(ge, map(n_problems, logs), n)), 120)
                world.rate(*some_ratings(100, seed=seed))
                eventually(lambda: all(worker.is_ready() for worker in both), READY_S)
                expect_as_undisturbed(world)
                assert [worker.process.poll() for worker in both] == [None, None]
