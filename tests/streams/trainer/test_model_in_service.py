"""Which of the announced models a trainer takes for the one in service, whatever pointers say."""

import pytest
from msgspec.structs import replace
from random_models import random_model

from dch.artifact import save_model
from streams import artifacts
from streams.kafka import Partition
from streams.kafka.records import Record
from streams.messages import encode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer import source as module
from streams.trainer.source import Source, counted_from, watermarks_of
from tests.streams.test_any_record import Clients

FAR_MS = 4_000_000_000_000  # a pointer must not be later than its record


class Setting:
    """A source that reads what a test writes, and a store that it takes away."""

    def __init__(self, folder):
        self.store, self.draft = folder / "store", folder / "draft"
        self.clients = Clients()
        self.clients.found["ends"] = {Partition("ratings", 0): 100, Partition("ratings", 1): 50}
        settings = TrainerSettings(partitions=2, artifacts=str(self.store), prefix="")
        self.source = Source(settings, self.clients)
        self.catch_up()

    def catch_up(self):
        self.clients.found["positions"] |= self.source._replay._targets

    def upload(self, generation):
        save_model(self.draft, random_model(generation=generation, seed=generation))
        return artifacts.upload_model(str(self.store), self.draft, {0: 90, 1: 40})

    def read(self, *pointers):
        """Let the source read pointers; return whether another model is in service."""
        self.clients.records = [
            Record("models", 0, at, b"1", encode_model_pointer(pointer), FAR_MS)
            for at, pointer in enumerate(pointers)
        ]
        return self.source.read()

    def generation(self):
        return self.source.in_service.generation


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.0)
    return Setting(tmp_path)


def lost(pointer, generation):
    return replace(pointer, generation=generation, sha256=f"{generation:064x}", location="gone")


def test_a_model_that_is_in_no_store_is_passed_over_but_its_number_is_not_used_again(given):
    first, second = given.upload(1), given.upload(2)
    assert given.read(first, second)
    before = given.source.in_service
    assert not given.read(lost(first, 9), lost(second, 2))
    assert given.source.in_service is before
    assert (given.generation(), given.source.next_generation) == (2, 10)
    assert watermarks_of(given.source.in_service) == {0: 90, 1: 40}
    assert given.read(third := replace(given.upload(10)))
    assert (given.source.in_service.sha256, given.source.next_generation) == (third.sha256, 11)


def test_a_pointer_with_another_checksum_than_its_artifact_is_passed_over(given):
    first = given.upload(1)
    assert given.read(first, replace(first, generation=2, sha256="0" * 64))
    assert (given.generation(), given.source.next_generation) == (1, 3)


def test_after_a_start_the_newest_model_in_the_store_counts_once_the_log_is_read(given):
    first = given.upload(1)
    given.source._replay.expect({}, {Partition("models", 0): 2})
    assert not given.read(first, lost(first, 9))
    given.catch_up()
    assert given.read()
    assert (given.generation(), given.source.next_generation) == (1, 10)


def test_while_the_store_cannot_be_read_the_newest_model_counts(given):
    first = given.upload(1)
    assert given.read(first)
    given.store.rename(given.store.with_name("elsewhere"))
    assert given.read(lost(first, 2))
    assert given.generation() == 2
    assert not given.read()
    given.store.with_name("elsewhere").rename(given.store)
    assert given.read()
    assert (given.generation(), given.source.next_generation) == (1, 3)


def test_watermarks_beyond_the_ends_of_ratings_hide_no_rating_to_come(given):
    bad = {"0": 2**60, "1": 7, "9": 2**60}
    assert given.read(replace(given.upload(1), watermarks=bad, counted_from=bad))
    assert watermarks_of(given.source.in_service) == counted_from(given.source.in_service)
    assert watermarks_of(given.source.in_service) == {0: 100, 1: 7, 9: 0}


def test_few_pointers_are_kept_however_many_are_announced(given):
    first = given.upload(1)
    assert given.read(first)
    given.read(*(lost(first, generation) for generation in range(2, module.MAX_POINTERS + 100)))
    assert len(given.source._announced) == module.MAX_POINTERS
    assert given.source.next_generation == module.MAX_POINTERS + 100
