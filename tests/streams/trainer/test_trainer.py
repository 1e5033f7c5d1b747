"""The trainer: which models it publishes, and how it ends."""

import csv
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from random_models import KNOTS

from dch.artifact import load_model, manifest_sha256, save_model
from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.models.towers import TowerWeights
from streams import artifacts
from streams.messages import decode_model_pointer
from streams.metrics import REFITS
from streams.settings import TrainerSettings
from streams.trainer import serve
from streams.trainer.fit import NEWEST_NDCG, FitRequest, fit
from streams.trainer.gate import MIN_NEWEST
from streams.trainer.main import FitFailedError, _fit_config
from tests.streams.brokers import ROOT, eventually, free_ports
from tests.streams.world import environ, is_ready, not_ready, worker

CASES = ROOT.parent / "shared" / "cases"
needs_broker = [pytest.mark.slow, pytest.mark.broker]


def test_a_fit_has_the_settings_of_the_trainer():
    given = {"bits": 128, "objective": "rating", "seed": 3, "device": "cuda", "threads": 2}
    assert _fit_config(TrainerSettings(**given)) == DchConfig(**given)
    assert _fit_config(TrainerSettings()) == DchConfig(threads=1)


def planted(n_users=60, n_items=40, n=2400, seed=0, kinds=2):
    """Return rating events of several kinds of users, who like the items of their own kind."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
    likes = users % kinds == items % kinds
    values = np.where(likes, rng.integers(4, 6, size=n), rng.integers(1, 3, size=n))
    rows = enumerate(zip(users, items, values, strict=True))
    return [(f"u{user}", f"i{item}", float(value), 1000 + at) for at, (user, item, value) in rows]


def truth(n_users, n_items, kinds, bits=64):
    """Return a model that knows the kinds: one sign pattern for each kind."""
    patterns = np.where(np.random.default_rng(0).random((kinds, bits)) < 0.5, -1, 1).astype(np.float32)
    none, one = np.zeros(bits, np.float32), np.ones(bits, np.float32)
    towers = [
        TowerWeights(
            patterns[np.arange(n) % kinds], none, none, one, none, np.eye(bits, dtype=np.float32), none
        )
        for n in (n_items, n_users)
    ]
    return Model(
        generation=1,
        user_tower=towers[0],
        item_tower=towers[1],
        user_ids=IdTable(f"u{row}" for row in range(n_users)),
        item_ids=IdTable(f"i{row}" for row in range(n_items)),
        rating_knots=KNOTS,
    )


def ratings_of(events):
    return Ratings.from_events(*(list(column) for column in zip(*events, strict=True)))


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"no file {path}")
    with path.open() as file:
        return [(row["user"], row["item"], float(row["rating"])) for row in csv.DictReader(file)]


@contextmanager
def trainer(settings, *, ready=False, **kwargs):
    """Run a trainer in a thread, and wait until it has read the ratings; yields the future of its result."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(serve, settings.as_role(TrainerSettings), stop, **kwargs)
        try:
            if ready:
                eventually(lambda: done.done() or is_ready(settings.metrics_port), 60)
            yield done
        finally:
            stop.set()
            done.exception(15)


def pointers(world):
    return [decode_model_pointer(record) for record in world.read_all("models")]


def n_refits(outcome):
    return REFITS.labels(outcome)._value.get()


class TestOnABroker:
    pytestmark = needs_broker

    def test_a_first_fit_is_published_served_and_followed_by_a_refit(self, world):
        settings = world.settings.as_role(
            TrainerSettings, refit_ratings=1000, refit_margin=1.0, metrics_port=0
        )
        world.rate(*planted())
        published = n_refits("published")
        with trainer(settings), worker(world.settings, ready=False) as running:
            eventually(running.is_ready, 120)
            (first,) = pointers(world)
            assert (first.generation, sum(first.watermarks.values())) == (1, 2400)
            model = artifacts.load(first.location, first.sha256)
            assert (model.generation, model.bits) == (1, settings.bits)
            world.rate(*planted(seed=1, n=1200))
            eventually(lambda: world.ask("u1").generation == 2, 120, every_s=0.5)
            second = pointers(world)[-1]
            assert sum(second.watermarks.values()) >= 3400
            assert NEWEST_NDCG in second.metrics
            eventually(lambda: n_refits("published") == published + 2)

    def test_once_fits_the_existing_ratings_and_ends(self, world):
        world.rate(*planted(n=1500))
        with trainer(world.settings, once=True) as done:
            assert done.result(120) is None
        assert [pointer.generation for pointer in pointers(world)] == [1]

    def test_a_restarted_trainer_waits_for_as_many_new_ratings_as_a_running_one(self, world):
        world.rate(*planted(n=1500))
        with trainer(world.settings, once=True) as done:
            assert done.result(120) is None
        settings = world.settings.as_role(TrainerSettings, refit_ratings=1000, refit_margin=1.0)
        with trainer(settings, ready=True):
            assert len(pointers(world)) == 1
            world.rate(*planted(n=1000, seed=1))
            eventually(lambda: len(pointers(world)) == 2, 120, every_s=0.5)
        assert [sum(pointer.watermarks.values()) for pointer in pointers(world)] == [1500, 2500]

    def test_a_refit_that_is_worse_is_not_published(self, world):
        world.publish(truth(80, 160, kinds=8))
        world.rate(*planted(n_users=80, n_items=160, n=5000, kinds=8))
        rejected = n_refits("rejected")
        with trainer(world.settings, once=True) as done, pytest.raises(FitFailedError, match="worse"):
            done.result(120)
        assert n_refits("rejected") == rejected + 1
        assert len(pointers(world)) == 1

    @pytest.mark.prove
    def test_what_cannot_be_measured_is_published_only_if_asked_for(self, world):
        world.rate(*planted(n=1500))
        with trainer(world.settings, once=True) as done:
            assert done.result(120) is None
        unmeasured = n_refits("unmeasured")
        world.rate(*planted(n=MIN_NEWEST - 1, seed=1))
        flag = "run: dch trainer --once --accept-unmeasured"
        with trainer(world.settings, once=True) as done, pytest.raises(FitFailedError, match=flag):
            done.result(120)
        assert n_refits("unmeasured") == unmeasured + 1
        command = [sys.executable, "-m", "streams", "trainer", "--once"]
        ran = subprocess.run(command, cwd=ROOT, env=environ(world.settings), capture_output=True, text=True)
        assert ran.returncode == 1
        assert flag in " ".join(ran.stderr.split())
        assert len(pointers(world)) == 1
        with trainer(world.settings, once=True, accept_unmeasured=True) as done:
            assert done.result(120) is None
        assert [pointer.generation for pointer in pointers(world)] == [1, 2]

    @pytest.mark.prove  # tests/streams/trainer/test_gate.py has the gate itself
    def test_one_odd_value_never_passes_a_model_over_a_healthy_one(self, world):
        world.rate(*case("01-scale/clean.csv"))
        with trainer(world.settings, once=True) as done:
            assert done.result(120) is None
        world.rate(*case("20-gate/typo-first.csv"))
        settings = world.settings.as_role(TrainerSettings)
        with trainer(settings, once=True) as done:
            error = done.exception(120)
        (first, *rest) = pointers(world)
        healthy = artifacts.load(first.location, first.sha256)
        for published in rest:
            model = artifacts.load(published.location, published.sha256)
            assert model.positive_from == healthy.positive_from
            assert NEWEST_NDCG in published.metrics
        assert bool(rest) == (error is None)

    def test_once_without_ratings_says_how_to_publish_some(self, world):
        with trainer(world.settings, once=True) as done, pytest.raises(FitFailedError, match="dch publish"):
            done.result(60)

    def test_sigterm_ends_a_trainer_within_seconds_even_during_a_fit(self, world, tmp_path):
        world.rate(*planted(n=20_000, n_users=2000, n_items=1500))
        log = tmp_path / "log"
        with log.open("w") as errors:
            command = [sys.executable, "-m", "streams", "trainer"]
            process = subprocess.Popen(command, cwd=ROOT, env=environ(world.settings), stderr=errors)
        try:
            eventually(lambda: "fit started" in log.read_text(), 60)
            assert is_ready(world.settings.metrics_port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()
            assert "trainer stopped" in log.read_text()
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


@pytest.mark.parametrize("once", [False, True])
def test_a_trainer_without_a_broker_is_alive_and_claims_no_success_when_it_is_stopped(tmp_path, once):
    settings = TrainerSettings(
        bootstrap_servers="127.0.0.1:1", artifacts=str(tmp_path), metrics_port=free_ports(2)
    )
    with trainer(settings, once=once) as done:
        eventually(lambda: "broker reachable, ratings read" in not_ready(settings.metrics_port))
    if once:
        with pytest.raises(FitFailedError, match="stopped before the fit was done"):
            done.result()
    else:
        assert done.result() is None


@pytest.mark.slow
@pytest.mark.prove
def test_a_fit_starts_from_scratch_after_a_model_of_another_shape(tmp_path):
    config = DchConfig(bits=64, hidden=64, steps=10, vector_size=16)
    save_model(tmp_path / "before", truth(60, 40, 2))  # a model without ranking vectors
    in_service = (str(tmp_path / "before"), manifest_sha256(tmp_path / "before"))
    request = FitRequest(ratings_of(planted()), None, config, generation=2, in_service=in_service)
    assert fit(request, tmp_path / "model").outcome == "unmeasured"
    model = load_model(tmp_path / "model")
    assert (model.user_tower.vector_size, model.metrics["steps"]) == (16, 10)


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.parametrize(
    ("share", "steps"), [(0.9, 2), (0.5, 10)], ids=["few more ratings", "twice as many ratings"]
)
def test_a_fit_starts_from_scratch_once_the_ratings_have_outgrown_the_model(tmp_path, share, steps):
    config = DchConfig(bits=64, hidden=64, steps=10, vector_size=16)
    everything = ratings_of(planted(n=3000))
    some = everything.subset(np.arange(int(share * len(everything))))
    fit(FitRequest(some, None, config, generation=1, in_service=None), tmp_path / "before")
    in_service = (str(tmp_path / "before"), manifest_sha256(tmp_path / "before"))
    fit(FitRequest(everything, None, config, generation=2, in_service=in_service), tmp_path / "model")
    assert load_model(tmp_path / "model").metrics["steps"] == steps
