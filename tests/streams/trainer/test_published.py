"""Which generations were published, and which of them a rollback goes back to."""

import msgspec
import pytest
from random_models import random_model

from dch.artifact import save_model
from streams import artifacts
from streams.errors import UnconfirmedError
from streams.messages import encode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer import rollback
from streams.trainer.published import (
    Published,
    in_service,
    is_loadable,
    is_outside,
    is_stored,
    published,
)
from streams.trainer.rollback import RollbackError, choose, roll_back
from tests.streams.messages.records import record
from tests.streams.trainer.test_refits import pointer


def rollback_pointer(generation, from_, to):
    return msgspec.structs.replace(
        pointer(generation, seen=generation * 100), rolled_back_from=from_, rolled_back_to=to
    )


def history(*found):
    """Return generations: a number was fitted, a triple is (generation, rolled back from, to)."""
    pointers = [
        rollback_pointer(*one) if isinstance(one, tuple) else pointer(one, one * 100) for one in found
    ]
    return [Published(one, 0) for one in pointers]


def test_models_come_by_generation_then_as_announced_and_what_no_role_keeps_is_left_out():
    first, second = (msgspec.structs.replace(pointer(2, seen=7), sha256=digit * 64) for digit in "01")
    sent = [first, pointer(3, 300), second, pointer(2 * 10**9, 1), first]
    values = [*map(encode_model_pointer, sent), b"no pointer"]
    records = [record(value, topic="models", timestamp_ms=1000 + at) for at, value in enumerate(values)]
    assert published(records) == [
        Published(second, 1002),
        Published(first, 1004),
        Published(pointer(3, 300), 1001),
    ]


@pytest.fixture
def settings(tmp_path):
    return TrainerSettings(artifacts=str(tmp_path / "store"))


@pytest.fixture
def stored(settings, tmp_path):
    """Store a model and return what was published."""

    def store(generation, seed=0):
        save_model(tmp_path / "draft", random_model(generation=generation, seed=seed))
        return Published(artifacts.upload_model(settings.artifacts, tmp_path / "draft", {}), 0)

    return store


def lost(generation, location):
    found = msgspec.structs.replace(pointer(generation, 0), location=location, sha256=f"{generation:064x}")
    return Published(found, 0)


def test_in_service_is_the_newest_model_that_the_store_holds_whatever_pointers_say(settings, stored):
    old, good, other = stored(6), stored(8), stored(8, seed=1)
    outside, missing = lost(9, "s3://elsewhere/gen-9"), lost(10, "gone")
    forged = Published(msgspec.structs.replace(other.pointer, location="s3://elsewhere/gen-8"), 0)
    copied = Published(msgspec.structs.replace(good.pointer, generation=11, sha256="0" * 64), 0)
    history = [old, good, forged, outside, missing, copied]
    assert in_service(settings, history) is good
    assert in_service(settings, [old, good, other, outside]) is other
    assert in_service(settings, [outside, missing]) is None
    assert [is_outside(settings, one.pointer) for one in history] == [False, False, True, True, False, False]
    assert [is_stored(settings, one.pointer) for one in history[:-1]] == [True, True, False, False, False]


def test_a_rollback_passes_over_what_the_store_does_not_hold(settings, stored, monkeypatch):
    """Its number is not used again, so that no role takes the new pointer for an older one."""
    sent = []
    monkeypatch.setattr(
        rollback, "_publish", lambda settings, pointer, before: sent.append((pointer, before))
    )
    monkeypatch.setattr(rollback, "_ends_of_ratings", lambda settings: {})
    old, good = stored(6), stored(8)
    history = [old, lost(7, "s3://elsewhere/gen-7"), good, lost(9, "s3://elsewhere/gen-9")]
    monkeypatch.setattr(rollback, "read_published", lambda settings: history)
    found = roll_back(settings)
    assert (found.generation, found.rolled_back_from, found.rolled_back_to) == (10, 8, 6)
    assert sent == [(found, history[-1].pointer)]
    with pytest.raises(RollbackError, match=r"generation 9 is not in the store .* still there: 6$"):
        roll_back(settings, to=9)
    with pytest.raises(RollbackError, match="generation 8 is in service already"):
        roll_back(settings, to=8)
    del history[2], history[0]
    with pytest.raises(
        RollbackError, match=r"holds none of the published models that can be loaded; check --artifacts"
    ):
        roll_back(settings)


def test_what_no_worker_can_load_is_neither_in_service_nor_gone_back_to(settings, stored, monkeypatch):
    old, good = stored(6), stored(8)
    damaged = Published(msgspec.structs.replace(old.pointer, generation=7, sha256="0" * 64), 0)
    renumbered = Published(msgspec.structs.replace(good.pointer, generation=9), 0)
    history = [old, damaged, good, renumbered]
    assert in_service(settings, history) is good
    assert [is_stored(settings, one.pointer) for one in history] == [True] * 4
    assert [is_loadable(settings, one.pointer) for one in history] == [True, False, True, False]
    monkeypatch.setattr(rollback, "_publish", lambda *args: None)
    monkeypatch.setattr(rollback, "_ends_of_ratings", lambda settings: {})
    monkeypatch.setattr(rollback, "read_published", lambda settings: history)
    found = roll_back(settings)
    assert (found.generation, found.rolled_back_from, found.rolled_back_to) == (10, 8, 6)
    with pytest.raises(RollbackError, match=r"generation 7 in the store .* corrupt.* still there: 6$"):
        roll_back(settings, to=7)


@pytest.mark.parametrize(
    ("found", "to", "chosen"),
    [
        ([6, 7, 8], None, 7),
        ([6, 7, 8], 6, 6),
        ([6, 7, 8, (9, 8, 7)], None, 6),  # the model of 7 is in service
        ([6, 7, 8, (9, 8, 7), 10], None, 9),
        ([6, 7, 8, (9, 8, 7), 10, (11, 10, 7)], None, 6),  # 9 was gone back to, so it is 7 that serves
        ([6, 7, 8, (9, 8, 6), 10, (11, 10, 9)], None, 7),  # not 8 and 10, which somebody left
        ([6, 7, 8, (9, 8, 7)], 8, 8),  # whoever asks for it gets it
    ],
)
def test_a_rollback_goes_to_the_model_before_that_in_service_which_nobody_left(found, to, chosen):
    models = history(*found)
    assert choose(models, models[-1], to)[0].pointer.generation == chosen


@pytest.mark.parametrize(
    ("found", "to", "words"),
    [
        ([7], None, "no model before that of generation 7"),
        ([7, 8, (9, 8, 7)], None, "no model before that of generation 7"),
        ([7, 8], 8, "generation 8 is in service already"),
        ([7, 8, (9, 8, 7)], 7, "generation 7 is in service already"),
        ([7, 8], 5, "no generation 5 to go back to; the newest ones are 7, 8"),
        ([7, 8], 9, "no generation 9"),
    ],
)
def test_a_rollback_that_is_impossible_is_refused_with_what_exists(found, to, words):
    models = history(*found)
    with pytest.raises(RollbackError, match=words):
        choose(models, models[-1], to)


def test_a_rollback_whose_commit_got_no_answer_does_not_say_that_nothing_was_rolled_back(
    settings, stored, monkeypatch
):
    class Unanswered:
        def __init__(self, *args):
            pass

        def send_all(self, outputs):
            raise UnconfirmedError("it is not known whether the transaction was committed: timed out")

    monkeypatch.setattr(rollback, "TransactionalProducer", Unanswered)
    monkeypatch.setattr(rollback, "_ends_of_ratings", lambda settings: {})
    history = [stored(6), stored(8)]
    monkeypatch.setattr(rollback, "read_published", lambda settings: history)
    with pytest.raises(RollbackError, match=r"not known whether .*see dch models list before") as caught:
        roll_back(settings)
    assert "nothing was rolled back" not in str(caught.value)


def test_without_a_published_model_there_is_none_to_go_back_to(settings, monkeypatch):
    monkeypatch.setattr(rollback, "read_published", lambda settings: [])
    with pytest.raises(RollbackError, match="no model was published yet"):
        roll_back(settings)
