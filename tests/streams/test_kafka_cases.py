"""Records from situations that people reported, in the folder that ``DCH_TEST_CASES`` names.

Each case is a script that sends records to one worker and prints what came of them; the README beside it says
what is right.
"""

import ast
import os
import subprocess
import sys
import urllib.request
import uuid
from contextlib import contextmanager

import pytest
from random_models import random_model

from streams.kafka.records import Output
from streams.settings import WorkerSettings
from tests.streams import transactions
from tests.streams.brokers import ROOT, eventually, free_ports
from tests.streams.trainer.test_trainer import planted
from tests.streams.world import SETTINGS, World, environ, worker, worker_process

pytestmark = [pytest.mark.prove, pytest.mark.broker, pytest.mark.real_broker]

ITEMS = [f"i{row}" for row in range(10)]
ATTEMPTS = 5


def worker_settings(kafka, prefix, folder):
    return WorkerSettings(
        bootstrap_servers=kafka,
        prefix=prefix,
        artifacts=str(folder / "store"),
        metrics_port=free_ports(2),
        **SETTINGS,
    )


@pytest.fixture(scope="module")
def world(kafka, tmp_path_factory):
    """A world with a worker that lists ten items; each case uses other users."""
    folder = tmp_path_factory.mktemp("world")
    settings = worker_settings(kafka, f"t{uuid.uuid4().hex[:10]}-", folder)
    found = World(settings, folder)
    found.publish(random_model(n_items=len(ITEMS), bits=64, hidden=64))
    found.rate(*((f"u{u}", item, 5) for u in range(6) for item in ITEMS))
    with worker(settings):
        eventually(lambda: sorted(found.items_for("nobody", k=100)) == ITEMS)
        yield found
    found.close()


@pytest.fixture
def check(case, world):
    """Run a script of the cases until it prints what is right: it sleeps, and the machine may be busy."""

    def run(name, is_right):
        found = [_printed(case("kafka") / f"{name}.py", world.settings)]
        while not is_right(*found[-1]) and len(found) < ATTEMPTS:
            found.append(_printed(case("kafka") / f"{name}.py", world.settings))
        assert is_right(*found[-1]), found

    return run


def _printed(script, settings, *arguments):
    with _running(script, settings, *arguments) as process:
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return printed.splitlines()


def _running(script, settings, *arguments):
    names = {"DCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers, "DCH_PREFIX": settings.prefix}
    command = [sys.executable, script.name, *arguments]
    return subprocess.Popen(
        command, cwd=script.parent, env=os.environ | names, stdout=subprocess.PIPE, text=True
    )


def test_times_in_seconds_are_times(check):
    check(
        "07-seconds",
        lambda changed, returned: changed.endswith("change the code: True") and "'codes+rerank'" in returned,
    )


def test_one_user_has_one_code_however_its_number_is_written(check):
    def is_right(codes):
        found = ast.literal_eval(codes)
        return len(found) == 3 and len(set(found.values())) == 1 and None not in found.values()

    check("09-number-ids", is_right)


def test_keys_of_other_serializers_are_unwrapped_or_dead_letters(check, world):
    """The Avro key of i2 has eight bytes, so that it may as well be an int64."""
    check(
        "10-keys",
        lambda titles, forgotten, letters: (
            "Title of i1" in titles and "'popular'" in forgotten and letters == "c. dead letters: 1"
        ),
    )
    assert {record.key for record in world.read_all("items-dlt")} == {b"\0\0\0\0\x05\x04i2"}


def test_items_are_switched_off_by_what_is_no_json_false(check, world):
    check("15-available", lambda found: found == "{'i0': 'hidden', 'i1': 'hidden', 'i2': 'hidden'}")
    assert sorted(world.items_for("nobody", k=100)) == ITEMS[3:]


def test_an_item_whose_availability_is_not_understood_is_a_dead_letter(world):
    world.describe("items", {"i9": {"title": "Nine", "available": "perhaps"}})
    eventually(lambda: any(b"perhaps" in letter.value for letter in world.read_all("items-dlt")))
    assert "i9" in world.items_for("nobody", k=100)


def test_records_that_are_too_large_to_pass_on_become_dead_letters_and_end_no_worker(case, world, tmp_path):
    script = case("kafka") / "13-too-large.py"
    before = len(world.read_all("ratings-dlt"))
    for what in ("compressed", "misplaced"):
        assert _printed(script, world.settings, what) == ["sent"]
    owner = world.owner_of("big")  # the misplaced rating is sent to partitions 0 and 1
    eventually(lambda: len(world.read_all("ratings-dlt")) == before + 1 + sum(at != owner for at in range(2)))
    without_value = [dict(one.headers) for one in world.read_all("ratings-dlt") if one.value is None]
    assert b"3000009" in {headers.get("dch-value-bytes") for headers in without_value}
    another = world.settings.replace(metrics_port=free_ports(2))
    with worker_process(another, tmp_path / "log"):  # it takes over some of the partitions
        assert set(world.items_for("u1", k=3, include_rated=True)) <= set(ITEMS)


@contextmanager
def by_script(script, settings, name):
    """Write a transaction to a topic, then ratings of one user for two minutes, by the script of the case."""
    with _running(script, settings, name) as process:
        assert process.stdout.readline().startswith("committed")
        yield
        assert process.poll() is None, "ratings came all the time"
        process.terminate()


@contextmanager
def left_open(world):
    """Leave a transaction on three topics open while ratings keep coming; commit it in the end."""
    outputs = [
        Output(world.topic(name), f"{name[0]}{at}".encode(), b"{}")
        for name in ("users", "items")
        for at in range(12)
    ]
    ratings = [
        Output(world.topic("ratings"), b"u%d" % at, transactions.rating(f"u{at}", at)) for at in range(12)
    ]
    producer = transactions.begin(world.settings, outputs + ratings)
    with transactions.busy_ratings(world):
        yield
    transactions.end(producer, "commit")


def lag_of(settings):
    return sum(samples(settings, "dch_consumer_lag_records")) + sum(
        samples(settings, "dch_consumer_lag_seconds")
    )


def samples(settings, name):
    """Return the values of a metric of a role, one for each label."""
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=5) as found:
        lines = found.read().decode().splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")]


@pytest.mark.parametrize("what", ["users", "items", "left open"])
def test_transactions_hold_up_neither_workers_nor_the_trainer_while_ratings_keep_coming(
    case, kafka, prefix, tmp_path, what
):
    """The whole row of case 08: a restart, replies, a fit, a second worker, and no lag in the end."""
    script = case("kafka") / "08-transactions.py"
    world = World(worker_settings(kafka, prefix, tmp_path), tmp_path)
    first, second = world.settings, world.settings.replace(metrics_port=free_ports(2))
    world.publish(random_model(n_users=60, n_items=40, bits=64, hidden=64))
    world.rate(*planted(n=1500))
    with worker_process(first, tmp_path / "before"):
        pass
    users = [f"u{at}" for at in range(12)]
    with (
        by_script(script, first, what) if what != "left open" else left_open(world),
        worker_process(first, tmp_path / "one"),  # ready although ratings keep coming
    ):
        assert all(world.ask(user).ratings > 0 for user in users)
        of_trainer = first.replace(metrics_port=free_ports(2))
        command = [sys.executable, "-m", "streams", "trainer", "--once"]
        ran = subprocess.run(command, cwd=ROOT, env=environ(of_trainer), capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        eventually(lambda: world.ask("u1").generation == 2, 60)
        with worker_process(second, tmp_path / "two"):
            assert all(world.ask(user).ratings > 0 for user in users)
            eventually(lambda: lag_of(first) < 60 and lag_of(second) < 60)  # of ratings that keep coming
    with worker_process(first, tmp_path / "after"):
        eventually(lambda: lag_of(first) == 0, 60)
        eventually(lambda: world.committed("ratings") == world.ends("ratings"), 60)
    world.close()
