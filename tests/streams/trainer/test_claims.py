"""The claim of the transactional id is renewed before a broker forgets the id, and never during a fit."""

import subprocess

import pytest
from random_models import random_model

from dch.artifact import save_model
from streams.errors import DeliveryError
from streams.kafka.patience import Patience
from streams.kafka.records import Output
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import decode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer import publisher as module
from streams.trainer.gate import REJECTED, FitResult
from streams.trainer.publisher import CLAIM_S, Publisher
from tests.streams.brokers import eventually, kafka_home, own_cluster
from tests.streams.trainer.test_refits import Script, rating_records, started, trainer_on
from tests.streams.world import World

__all__ = ["started"]


class Owner:
    """In place of the membership of the group: this trainer owns the partition."""

    def __init__(self, *args):
        pass

    def poll(self):
        return True


class Clock:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def claims(monkeypatch):
    """The claims of the transactional id so far."""
    found = []
    monkeypatch.setattr(module, "Ownership", Owner)
    monkeypatch.setattr(module, "TransactionalProducer", lambda *args: found.append(args) or object())
    return found


def test_an_old_claim_is_renewed_by_a_standby_s_turn(claims, clock):
    publisher = Publisher(TrainerSettings(), Patience(1.0, now=clock))
    assert publisher.poll()
    clock.now_s += CLAIM_S
    assert publisher.poll()
    clock.now_s += 1
    assert not publisher.poll(), "as a standby it notices what others have published"
    assert len(claims) == 1
    assert [publisher.poll() for _ in range(3)] == [True] * 3
    assert len(claims) == 2


def test_a_claim_is_not_renewed_while_a_fit_runs(claims, clock):
    publisher = Publisher(TrainerSettings(), Patience(1.0, now=clock))
    assert publisher.poll()
    clock.now_s += 2 * CLAIM_S
    assert publisher.poll(has_fit=True)
    assert not publisher.poll()
    assert publisher.poll()
    assert len(claims) == 2


def test_a_renewal_does_not_repeat_a_fit_that_was_found_too_bad(started):
    source = Script(rating_records(0, 2500), caught_up_after=1)
    trainer = trainer_on(source, turns=[True, True, False, True])
    trainer._step()
    assert len(started) == 1
    trainer._running.process.result = lambda: FitResult(REJECTED)
    for _ in range(4):
        trainer._step()
    assert started == [], "the ratings of the fit that was rejected do not count again"
    source.log.add_ratings(rating_records(2500, 3000))
    trainer._step()
    assert len(started) == 1


def is_forgotten(cluster, transactional_id):
    """Return whether the broker does not know a transactional id any more."""
    command = [kafka_home() / "bin" / "kafka-run-class.sh", "org.apache.kafka.tools.TransactionsCommand"]
    command += ["--bootstrap-server", cluster.address, "list"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "TransactionalId" in found
    return transactional_id not in found


@pytest.mark.real_broker
@pytest.mark.prove
def test_a_trainer_publishes_though_the_broker_forgets_idle_ids(tmp_path, prefix, monkeypatch):
    """The broker here forgets an id after two seconds; usual are seven days."""
    options = ("transactional.id.expiration.ms=2000",)
    options += ("transaction.remove.expired.transaction.cleanup.interval.ms=500",)
    monkeypatch.setattr(module, "CLAIM_S", 0.2)
    with own_cluster(tmp_path / "kafka", "-o", options[0], "-o", options[1]) as cluster:
        settings = TrainerSettings(
            bootstrap_servers=cluster.address, prefix=prefix, partitions=2, artifacts=str(tmp_path / "store")
        )
        world = World(settings, tmp_path)
        topic = world.topic("models")
        idle = TransactionalProducer(settings, "idle")
        idle.send_all([Output(topic, b"model", b"first")])
        save_model(tmp_path / "artifact", random_model(generation=1))
        publisher = Publisher(settings)
        try:
            eventually(publisher.poll)
            eventually(lambda: publisher.poll() and is_forgotten(cluster, "idle"), 60)
            with pytest.raises(DeliveryError, match=r"INVALID_PRODUCER_ID_MAPPING|producer id"):
                idle.send_all([Output(topic, b"model", b"second")])
            eventually(publisher.poll)
            publisher.publish(tmp_path / "artifact", {})
            (_, pointer) = world.read_all("models")
            assert decode_model_pointer(pointer).generation == 1
        finally:
            publisher.close()
            world.close()
