"""A rollback is published by the fence of the trainers: one of two that publish at once is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_models import random_model

from dch.artifact import save_model
from streams import artifacts
from streams.errors import DeliveryError
from streams.kafka.transactional_producer import TransactionalProducer
from streams.messages import decode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer import rollback
from streams.trainer.publisher import Publisher
from streams.trainer.retention import remove_old
from streams.trainer.rollback import RollbackError, roll_back
from tests.streams.brokers import eventually
from tests.streams.trainer.test_publisher import BROKERS
from tests.streams.worker.conftest import world

__all__ = ["world"]
pytestmark = [pytest.mark.slow, pytest.mark.broker]


@pytest.fixture(scope="session", params=BROKERS)
def broker(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def trainer_settings(world):
    return world.settings.as_role(TrainerSettings)


@pytest.fixture
def publisher(trainer_settings):
    found = Publisher(trainer_settings)
    eventually(found.poll)
    yield found
    found.close()


@pytest.fixture
def artifact(tmp_path):
    def folder(generation):
        model = random_model(generation=generation, seed=generation)
        save_model(path := tmp_path / f"artifact-{generation}", replace(model, metrics={"steps": generation}))
        return path

    return folder


def pointers(world):
    return [decode_model_pointer(record) for record in world.read_all("models")]


def test_a_rollback_is_a_copy_under_the_next_number_and_retention_keeps_it(
    world, trainer_settings, publisher, artifact
):
    publisher.publish(artifact(1), {0: 10})
    publisher.publish(artifact(2), {0: 20})
    world.rate(("u1", "i1", 5), ("u2", "i1", 4))
    found = roll_back(trainer_settings)
    first, second, third = pointers(world)
    assert found == third
    assert (third.generation, third.rolled_back_from, third.rolled_back_to) == (3, 2, 1)
    assert (third.watermarks, third.trained_at, third.metrics) == (
        first.watermarks,
        first.trained_at,
        {"steps": 1.0},
    )
    assert third.counted_from == {str(number): end for number, end in world.ends("ratings").items()}
    assert sum(third.counted_from.values()) == 2
    old, new = (artifacts.load(one.location, one.sha256) for one in (first, third))
    assert (new.generation, new.settings) == (3, old.settings)
    for name in ("user_tower", "item_tower"):
        for one, other in zip(
            vars(getattr(old, name)).values(), vars(getattr(new, name)).values(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    remove_old(trainer_settings.artifacts, third, keep=1)
    assert not artifacts.exists(first.location)
    assert artifacts.exists(third.location)
    with pytest.raises(
        RollbackError, match=r"artifact of generation 2 is not in the store.*still there: none$"
    ):
        roll_back(trainer_settings, to=second.generation)


def test_a_trainer_goes_on_after_a_rollback_and_its_fit_from_before_is_refused(
    world, trainer_settings, publisher, artifact
):
    publisher.publish(artifact(1), {})
    publisher.publish(artifact(2), {})
    found = roll_back(trainer_settings)
    with pytest.raises(DeliveryError, match="fenced"):
        publisher.publish(artifact(3), {})
    publisher.note(found)
    assert not publisher.poll(), "it begins again as a standby"
    eventually(publisher.poll)
    publisher.publish(artifact(4), {})
    assert [one.generation for one in pointers(world)] == [1, 2, 3, 4]
    publisher.note(pointers(world)[-1])
    assert publisher.poll(), "its own models do not make it begin again"


@pytest.mark.parametrize("moment", ["before the claim", "after the claim"])
def test_of_a_rollback_and_a_trainer_that_publish_at_once_one_is_refused(
    world, trainer_settings, publisher, artifact, monkeypatch, moment
):
    """The trainer publishes while the rollback stores its copy, or claims the id back before it publishes."""
    publisher.publish(artifact(1), {})
    publisher.publish(artifact(2), {})
    upload, read = artifacts.upload_model, rollback.read_published
    calls = []

    def upload_meanwhile(*arguments):
        monkeypatch.setattr(artifacts, "upload_model", upload)
        publisher.publish(artifact(3), {})
        return upload(*arguments)

    def read_meanwhile(settings):
        calls.append(found := read(settings))
        if len(calls) == 2:
            TransactionalProducer(settings, publisher.group)
        return found

    if moment == "before the claim":
        monkeypatch.setattr(artifacts, "upload_model", upload_meanwhile)
        words, left = "generation 3 was published meanwhile", [1, 2, 3]
    else:
        monkeypatch.setattr(rollback, "read_published", read_meanwhile)
        words, left = "nothing was rolled back: .*fenced", [1, 2]
    with pytest.raises(RollbackError, match=words):
        roll_back(trainer_settings)
    assert [one.generation for one in pointers(world)] == left
    assert Path(pointers(world)[-1].location).is_dir()
