"""Workers on real Kafka that lack an artifact.

While a store fails, no list has fewer items. A model that is nowhere stops nobody.
"""

import subprocess
import sys
import urllib.request

import pytest
from random_models import random_model

from streams.messages import ErrorReply, decode_model_pointer
from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
from tests.streams.brokers import ROOT, eventually, free_ports
from tests.streams.trainer.test_trainer import planted
from tests.streams.world import environ, worker_process

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.real_broker,
    pytest.mark.slow,
    pytest.mark.prove,
]
USERS, ITEMS = [f"u{n}" for n in range(24)], [f"i{n}" for n in range(60)]
MODEL, NEXT = (random_model(n_users=24, n_items=60, generation=n, seed=n) for n in (1, 2))
LIMIT_S, WAIT_S = 2.0, 240


@pytest.fixture(scope="module")
def broker(kafka):
    return kafka


def listed(world, user):
    """Return the generation of a user's reply and its items; the text of an error instead."""
    reply = world.ask(user, k=200, include_rated=True)
    if isinstance(reply, ErrorReply):
        return reply.error
    return (reply.generation, reply.generation_hash, frozenset(hit.item for hit in reply.items))


def answers(world):
    return {user: listed(world, user) for user in USERS}


def metric(worker, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.settings.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_worker_that_cannot_read_the_store_answers_with_errors_and_the_others_with_all_items(
    world, tmp_path
):
    mount, aside = tmp_path / "mount", tmp_path / "unmounted"
    (tmp_path / "store").mkdir()
    mount.symlink_to(tmp_path / "store")
    first = world.settings.replace(model_load_timeout_s=LIMIT_S)
    second = first.replace(metrics_port=free_ports(2), artifacts=str(mount))
    world.publish(MODEL)
    world.rate(*((user, item, 1 + at % 5, at) for at, (user, item) in enumerate(pairs())))
    with (
        worker_process(first, tmp_path / "log1", ready=False) as one,
        worker_process(second, tmp_path / "log2", ready=False) as two,
    ):
        eventually(lambda: one.is_ready() and two.is_ready(), WAIT_S)
        eventually(
            lambda: {found[0::2] for found in answers(world).values()} == {(1, frozenset(ITEMS))}, WAIT_S
        )
        mount.rename(aside)
        world.publish(NEXT)
        eventually(lambda: two.last_log_line("model not loaded yet"), WAIT_S)
        eventually(lambda: not two.is_ready(), WAIT_S)
        assert metric(two, "dch_model_load_failures_total") > 0
        eventually(lambda: metric(one, "dch_item_codes_awaited_codes") > 0, WAIT_S)
        world.rate(*((user, "i-new", 5, 10**6) for user in USERS))
        everything = frozenset([*ITEMS, "i-new"])

        def is_as_it_should_be():
            found = set(answers(world).values())
            errors = {one for one in found if isinstance(one, str)}
            lists = {(one[0], one[2]) for one in found - errors}
            assert all("cannot load generation 2" in error for error in errors)
            assert {generation for generation, _ in lists} == {1}
            assert all(items >= frozenset(ITEMS) for _, items in lists), "a list from fewer items"
            return errors and lists == {(1, everything)}

        eventually(is_as_it_should_be, WAIT_S)
        assert one.is_ready()
        assert not two.is_ready()
        aside.rename(mount)
        eventually(lambda: one.is_ready() and two.is_ready(), WAIT_S)
        eventually(lambda: len(set(answers(world).values())) == 1, WAIT_S)
        ((generation, hash_, items),) = set(answers(world).values())
        assert (generation, items) == (2, everything)
        assert hash_ == pointer_hash(world)
        expected = world.expected(NEXT)
        eventually(lambda: world.item_codes() == expected.item_codes(), WAIT_S)


def test_a_pointer_to_nothing_stops_neither_workers_nor_the_trainer(world, tmp_path):
    """Nor do watermarks that no partition has, or figures that no float holds."""
    settings = world.settings.replace(model_load_timeout_s=6.0)
    world.publish(MODEL)
    world.rate(*planted(n=1500))
    with worker_process(settings, tmp_path / "log", ready=False) as one:
        eventually(one.is_ready, WAIT_S)
        nowhere = {"location": "/gone"}
        world.publish(MODEL, generation=7, sha256="7" * 64, watermarks={"0": 2**60}, **nowhere)
        figures = {NEWEST_NDCG: 10**400, IN_SERVICE_NDCG: 0}
        world.publish(MODEL, generation=8, sha256="8" * 64, metrics=figures, **nowhere)

        def is_passed_over():
            assert one.is_ready()
            assert world.ask("u1").generation == 1, "it goes on serving, without a pause"
            return metric(one, 'dch_models_refused_total{reason="missing"}')

        eventually(is_passed_over, WAIT_S)
        eventually(lambda: len(world.read_all("models-dlt")) == 1)
        of_trainer = settings.replace(metrics_port=free_ports(2))
        command = [sys.executable, "-m", "streams", "trainer", "--once"]
        ran = subprocess.run(command, cwd=ROOT, env=environ(of_trainer), capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        eventually(lambda: world.ask("u1").generation == 8, WAIT_S)
        world.publish(MODEL, generation=9, sha256="9" * 64, **nowhere)
        one.kill()
    with worker_process(settings, tmp_path / "log2"):  # it starts although the newest model is nowhere
        assert world.ask("u1").generation == 8


def pairs():
    return [(user, item) for user in USERS for item in ITEMS]


def pointer_hash(world):
    return decode_model_pointer(world.read_all("models")[-1]).generation_hash
