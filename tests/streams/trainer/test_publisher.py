"""One trainer at a time publishes: the owner of the partition of `models`; the one before is fenced."""

import pytest
from random_models import random_model

from dch.artifact import save_model
from streams.errors import DeliveryError
from streams.kafka.records import Output
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import decode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer.publisher import Publisher
from tests.streams.brokers import eventually
from tests.streams.conftest import BROKERS
from tests.streams.trainer.test_refits import pointer
from tests.streams.worker.conftest import world

__all__ = ["world"]
pytestmark = [pytest.mark.slow, pytest.mark.broker]


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
