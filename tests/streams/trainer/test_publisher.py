"""One trainer at a time publishes: the owner of the partition of `models`; the one before is fenced."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from random_models import random_model

from dch.artifact import save_model
from streams.errors import DeliveryError
from streams.kafka.records import Output
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import decode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer.publisher import Publisher
from tests.streams.brokers import ROOT, eventually
from tests.streams.trainer.test_refits import pointer
from tests.streams.trainer.test_trainer import planted
from tests.streams.worker.conftest import world
from tests.streams.world import environ

__all__ = ["world"]
pytestmark = [pytest.mark.slow, pytest.mark.broker]


BROKERS = ("embedded", pytest.param("kafka", marks=(pytest.mark.real_broker, pytest.mark.prove)))


@pytest.fixture(scope="session", params=BROKERS)
def broker(request):
    """Who is fenced and who owns a partition depends on the broker, so each kind is tested."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def settings_of_trainer(world):
    return world.settings.as_role(TrainerSettings)


@pytest.fixture
def artifact(tmp_path):
    def folder(generation):
        save_model(tmp_path / f"artifact-{generation}", random_model(generation=generation))
        return tmp_path / f"artifact-{generation}"

    return folder


def generations(world):
    return [decode_model_pointer(record).generation for record in world.read_all("models")]


def test_of_two_trainers_one_is_active_and_the_other_takes_over(world, settings_of_trainer, artifact):
    first = Publisher(settings_of_trainer)
    second = None
    try:
        eventually(first.poll)
        second = Publisher(settings_of_trainer)
        with pytest.raises(DeliveryError, match="not the active one"):
            second.publish(artifact(1), {})
        for _ in range(100):  # a new member does not take the partition away
            assert first.poll()
            assert not second.poll()
        first.publish(artifact(1), {0: 7})
        first.close()
        eventually(second.poll, 30)
        second.publish(artifact(2), {0: 9})
        assert generations(world)[-1] == 2
    finally:
        for one in (first, second):
            if one is not None:
                one.close()


def test_a_trainer_that_lost_its_turn_without_knowing_it_is_fenced(world, settings_of_trainer, artifact):
    """As after a pause: the group has another owner, and this process is about to publish."""
    publisher = Publisher(settings_of_trainer)
    try:
        eventually(publisher.poll)
        other = TransactionalProducer(settings_of_trainer, publisher.group)
        with pytest.raises(DeliveryError, match="fenced"):
            publisher.publish(artifact(1), {})
        other.send_all([Output(world.topic("models"), b"model", b"of the other")])
        assert [record.value for record in world.read_all("models")] == [b"of the other"]
        assert not publisher.poll(), "it begins again as a standby"
        eventually(publisher.poll)
        publisher.publish(artifact(2), {})
        assert world.read_all("models")[-1].value != b"of the other"
    finally:
        publisher.close()


def test_a_transaction_that_was_not_committed_is_read_by_nobody(world, settings_of_trainer):
    producer = TransactionalProducer(settings_of_trainer, "some id")
    topic = world.topic("models")
    too_large = Output(topic, b"model", b"x" * 3_000_000)
    with pytest.raises(DeliveryError):
        producer.send_all([Output(topic, b"model", b"first"), too_large])
    producer.send_all([Output(topic, b"model", b"second")])
    assert [record.value for record in world.read_all("models")] == [b"second"]


def test_the_pointer_of_a_trainer_is_read_by_its_fields(world, settings_of_trainer, artifact):
    publisher = Publisher(settings_of_trainer)
    try:
        eventually(publisher.poll)
        publisher.publish(artifact(3), {0: 7})
        (found,) = map(decode_model_pointer, world.read_all("models"))
        assert (found.generation, found.watermarks) == (3, pointer(3, 7).watermarks)
    finally:
        publisher.close()


@contextmanager
def trainer_process(settings, log):
    """Run ``dch trainer`` as a process; yields the process and a function that tells what it has logged."""
    with log.open("w") as errors:
        command = [sys.executable, "-m", "streams", "trainer"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ(settings), stderr=errors)
    try:
        yield process, log.read_text
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.prove
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
def test_a_standby_takes_over_from_a_trainer_that_ends_or_hangs_during_a_fit(
    world, settings_of_trainer, tmp_path, sent
):
    """A paused trainer wakes up with a fit that is done, and must not publish a second generation 1."""
    waits_s = 500
    quick = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
    settings = settings_of_trainer.replace(metrics_port=0, kafka=quick)
    with trainer_process(settings, tmp_path / "log1") as (first, first_log):
        eventually(lambda: "active trainer" in first_log(), waits_s)
        with trainer_process(settings, tmp_path / "log2") as (second, second_log):
            eventually(lambda: "standing by" in second_log(), waits_s)
            world.rate(*planted())
            eventually(lambda: "fit started generation=1" in first_log(), waits_s)
            assert "fit started" not in second_log()
            assert generations(world) == []
            first.send_signal(sent)
            eventually(lambda: generations(world) == [1], waits_s)
            assert "generation published generation=1" in second_log()
            if sent == signal.SIGSTOP:
                first.send_signal(signal.SIGCONT)
                eventually(lambda: first_log().count("standing by") == 1, waits_s)
                assert "generation published" not in first_log()
                assert first.poll() is None
            assert second.poll() is None
    assert generations(world) == [1]
    (folder,) = (path.name for path in Path(world.settings.artifacts).iterdir() if path.name[0] != ".")
    assert folder.startswith("gen-000001-")
