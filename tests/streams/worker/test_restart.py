"""A worker that is stopped or killed at any point loses nothing, and repeats nothing that clients can see."""

import re
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from random_models import random_model

from streams.errors import DeliveryError
from streams.kafka.outbox import Outbox
from streams.messages import decode_reply
from tests.streams.brokers import eventually, free_ports
from tests.streams.world import Running, worker, worker_process

MODEL = random_model(bits=64, hidden=64, n_users=40, n_items=60)
NEXT = random_model(bits=64, hidden=64, n_users=40, n_items=60, generation=2, seed=2)
USERS = [f"u{row}" for row in range(50)]  # ten of them are not in the model


def some_ratings(n, seed=0):
    """Ratings in random time order, some with equal times; a tenth of them are withdrawals."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(len(USERS), size=n), rng.integers(70, size=n)
    values, times = rng.integers(1, 6, size=n), rng.integers(n // 4, size=n)
    withdrawn = rng.random(n) < 0.1
    return [
        (USERS[user], f"i{item}", None if is_withdrawn else int(value), int(time))
        for user, item, value, time, is_withdrawn in zip(users, items, values, times, withdrawn, strict=True)
    ]


def codes_of(world):
    return {user: world.ask(user, k=1).code for user in USERS}


def expect_codes_as_without_failures(world, model=MODEL):
    expected = world.expected(model)
    codes = {user: expected.user_code(user).hex() for user in USERS}
    eventually(lambda: codes_of(world) == codes, 30)
    eventually(lambda: world.item_codes() == expected.item_codes(), 30)


def n_committed(world, name="ratings"):
    return sum(world.committed(name).values())


def wait_until_committed(world, n, name="ratings"):
    eventually(lambda: n_committed(world, name) >= n, 60)


def test_sigterm_stops_a_worker_within_seconds_with_everything_applied_committed(world, tmp_path):
    world.publish(MODEL)
    with worker_process(world.settings, tmp_path / "log") as worker:
        world.rate(*some_ratings(500))
        wait_until_committed(world, 500)
        eventually(lambda: world.committed("item-ratings") == world.ends("item-ratings"))
        assert worker.terminate(within_s=8) == 0
        assert worker.last_log_line("worker stopped")
    assert n_committed(world) == 500
    assert len(world.item_ratings()) == 500


def test_a_failing_worker_does_not_commit_and_the_next_worker_repeats_the_records(world, monkeypatch):
    def fail(*args):
        raise DeliveryError("injected")

    world.publish(MODEL)
    failing = Running(world.settings)
    eventually(failing.is_ready, 60)
    monkeypatch.setattr(Outbox, "dead_letter", fail)
    world.send("ratings", "u1", "x" * 5000)
    with pytest.raises(DeliveryError, match="injected"):
        failing.done.result(20)
    monkeypatch.undo()
    assert n_committed(world) == 0
    with worker(world.settings):
        eventually(lambda: n_committed(world) == 1)
    assert len(world.read_all("ratings-dlt")) == 1


@pytest.mark.real_broker
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_workers_killed_while_ingesting_end_with_the_same_codes_bit_for_bit(world, tmp_path):
    world.publish(MODEL)
    slow = world.settings.replace(batch_records=100)  # many commits, so that kills fall between them
    n = 30_000
    early = n // 10
    with worker_process(slow, tmp_path / "log0"):
        world.rate(*some_ratings(early, seed=1), misroute=7)
        wait_until_committed(world, early)
        world.send("users", USERS[3], None, timestamp_ms=early // 8)  # half of the user's ratings are later
        wait_until_committed(world, 1, "users")
    world.rate(*some_ratings(n), misroute=7)  # as by a producer with another partitioner
    for stop_at in (5000, 12_000):
        with worker_process(slow, tmp_path / f"log{stop_at}", ready=False) as worker:
            eventually(lambda at=stop_at: n_committed(world) >= at, 240, every_s=0.01)
            worker.kill()
        assert n_committed(world) < n, "killed too late to prove anything"
    with worker_process(world.settings, tmp_path / "log"):
        eventually(lambda: world.committed("ratings") == world.ends("ratings"), 240)
        expect_codes_as_without_failures(world)


@contextmanager
def two_workers(settings, folder):
    """Run two workers, each with half of the partitions, whose sessions end after six seconds."""
    first = settings.replace(kafka={"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"})
    second = first.replace(metrics_port=free_ports(2))
    with worker_process(first, folder / "log1") as one, worker_process(second, folder / "log2") as two:
        eventually(lambda: len(owned(one)) == len(owned(two)) == 2, 30)
        eventually(lambda: one.is_ready() and two.is_ready(), 30)
        assert owned(one) | owned(two) == {0, 1, 2, 3}
        yield one, two


@pytest.mark.real_broker
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_when_one_of_two_workers_is_killed_the_other_takes_over(world, tmp_path):
    world.publish(MODEL)
    world.rate(*some_ratings(600))
    with two_workers(world.settings, tmp_path) as (one, two):
        world.rate(*some_ratings(400, seed=1))
        expect_codes_as_without_failures(world)
        world.publish(NEXT)  # each swaps when it has the other's item codes too
        expect_codes_as_without_failures(world, NEXT)
        one.kill()
        world.rate(*some_ratings(400, seed=2))
        eventually(lambda: owned(two) == {0, 1, 2, 3}, 40)
        eventually(two.is_ready, 30)
        expect_codes_as_without_failures(world, NEXT)
        assert not two.last_log_line("swap without")


@pytest.mark.real_broker
@pytest.mark.prove
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_a_worker_that_was_suspended_answers_nothing_from_its_old_state(world, tmp_path):
    world.publish(MODEL)
    users = USERS[:12]
    world.rate(*[(user, "i0", 5.0) for user in users])
    with two_workers(world.settings, tmp_path) as (one, two):
        one.process.send_signal(signal.SIGSTOP)
        eventually(lambda: owned(two) == {0, 1, 2, 3}, 60)
        world.rate(*[(user, f"i{item}", 5.0) for user in users for item in range(1, 5)])
        eventually(lambda: all(world.ask(user).ratings == 5 for user in users), 60)
        before = world.ends("recommendations")
        one.process.send_signal(signal.SIGCONT)
        eventually(lambda: [world.ask(user) for user in users] and is_back(one), 120)
        replies = [
            decode_reply(record.value)
            for record in world.read_all("recommendations")
            if record.offset >= before[record.partition]
        ]
        assert {reply.ratings for reply in replies} == {5}
        assert one.last_log_line("stood still")
        expected = world.expected(MODEL).item_codes()
        eventually(lambda: world.item_codes() == expected, 60)


def is_back(worker):
    """Tell whether a worker has caught up again after the group had given its partitions away."""
    given_away, caught_up = (worker.last_log_line(words) for words in ("given away", "caught up"))
    return given_away is not None and given_away < caught_up and len(owned(worker)) == 2


def owned(worker):
    """Return the partitions in the last log line about the requests that a worker answers."""
    line = worker.last_log_line("answering requests partitions=")
    return set(map(int, re.findall(r"\d+", line.partition("partitions=")[2]))) if line else set()
