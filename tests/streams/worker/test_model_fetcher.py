"""A model that the store does not give is fetched once it does; until then clients learn about it."""

import threading

import pytest
from msgspec.structs import replace
from random_models import random_model

from dch.artifact import save_model
from streams import artifacts
from streams.kafka import BEGINNING, Partition
from streams.kafka.records import Record
from streams.messages import ItemCode, ModelPointer, encode_item_code, encode_model_pointer, is_followed
from streams.messages.fields import MAX_GENERATION
from streams.messages.item_codes import UNREADABLE
from streams.messages.models import MAX_FOLLOWED
from streams.metrics import MODEL_LOAD_FAILURES, MODELS_REFUSED
from streams.settings import WorkerSettings
from streams.worker.context import WorkerContext
from streams.worker.global_tables import GlobalTables
from streams.worker.main import checks
from streams.worker.model_fetcher import LAST_RETRY_S, LOOK_AGAIN_S, MAX_PENDING, ModelFetcher
from tests.streams.worker.test_assignment import Log

T, FAR_MS = 1_700_000_000_000, 4_000_000_000_000  # a pointer must not be later than its record
LIMIT_S = 60


class Setting:
    """A store that a test takes away, a clock that it moves by hand, and the fetcher between them."""

    def __init__(self, folder):
        self.store, self.draft, self.now = folder / "store", folder / "draft", 100.0
        settings = WorkerSettings(
            artifacts=str(self.store), model_load_timeout_s=LIMIT_S, partitions=1, prefix=""
        )
        self.context = WorkerContext(settings, threading.Event())
        self.fetcher = ModelFetcher(self.context, now=lambda: self.now)

    def upload(self, generation, seed=0):
        save_model(self.draft, random_model(generation=generation, seed=seed))
        return artifacts.upload_model(str(self.store), self.draft, {})

    def announce(self, pointer):
        self.fetcher.read(record_of(pointer))

    def take_away(self):
        self.store.rename(self.store.with_name("elsewhere"))

    def give_back(self):
        self.store.with_name("elsewhere").rename(self.store)

    def pass_until_tried(self, within_s):
        """Move the clock until there is a model, or the time is over; return the model and its generation."""
        end = self.now + within_s
        while self.now < end:
            if found := self.fetcher.fetch_newest():
                return found
            self.now += 0.25
        return None

    def missing(self):
        return self.context.missing_model(self.now)


def record_of(pointer: ModelPointer):
    return Record("models", 0, 0, b"model", encode_model_pointer(pointer), FAR_MS)


@pytest.fixture
def given(tmp_path):
    return Setting(tmp_path)


def n_failures():
    return MODEL_LOAD_FAILURES._value.get()


def refused(reason):
    return MODELS_REFUSED.labels(reason)._value.get()


def test_a_store_that_cannot_be_read_for_two_minutes_delays_the_model_and_the_worker_says_so(given):
    given.announce(given.upload(1))
    assert given.fetcher.fetch_newest().pointer.generation == 1
    pointer, failures, refusals = given.upload(2), n_failures(), refused("artifact")
    given.take_away()
    given.announce(pointer)
    began = given.now
    assert given.pass_until_tried(LIMIT_S) is None
    assert given.missing() == ""
    assert given.pass_until_tried(LIMIT_S) is None
    assert given.missing().startswith("this worker cannot load generation 2 from its artifact store since")
    assert 10 < n_failures() - failures < 30, "it waits longer and longer between two attempts"
    assert refused("artifact") == refusals
    given.give_back()
    found = given.pass_until_tried(LAST_RETRY_S + 1)
    assert (found.pointer.generation, found.model.generation) == (2, 2)
    assert found.pointer.generation_hash == found.model.generation_hash
    assert given.missing() == ""
    assert given.fetcher.fetch_newest() is None
    assert given.now > began + 2 * LIMIT_S


def test_the_time_counts_from_the_first_announced_model_that_is_missing(given):
    given.announce(given.upload(1))
    assert given.fetcher.fetch_newest()
    pointers = [given.upload(generation) for generation in (2, 3)]
    given.take_away()
    for pointer in pointers:  # a trainer that publishes often must not hide it
        given.announce(pointer)
        assert given.pass_until_tried(0.6 * LIMIT_S) is None
    assert "generation 3" in given.missing()
    given.give_back()
    assert given.pass_until_tried(LAST_RETRY_S + 1).model.generation == 3


def test_readiness_and_requests_depend_on_it(given):
    ready = checks(given.context)["announced model loaded"]
    assert ready()
    pointer = given.upload(1)
    given.take_away()
    given.now = -10.0 * LIMIT_S  # long before the clock of the process
    given.announce(pointer)
    given.now = 0.0
    assert given.fetcher.fetch_newest() is None
    assert not ready()


def test_a_model_that_is_wrong_for_good_is_refused_and_the_one_before_is_taken(given):
    first, second = given.upload(1), given.upload(2)
    (given.store / second.location.rpartition("/")[2] / "manifest.json").write_text("{}")
    refusals = refused("artifact")
    for pointer in (first, second):
        given.announce(pointer)
    assert given.fetcher.fetch_newest().model.generation == 1
    assert refused("artifact") == refusals + 1
    assert given.context.awaited_model is None


def test_an_earlier_model_is_not_taken_in_place_of_one_that_the_store_will_give(given):
    first, second = given.upload(1), given.upload(2)
    manifest = given.store / second.location.rpartition("/")[2] / "manifest.json"
    manifest.rename(aside := given.store / "aside")
    manifest.mkdir()  # it is there and cannot be read
    for pointer in (second, first):
        given.announce(pointer)
    assert given.pass_until_tried(2 * LIMIT_S) is None
    manifest.rmdir()
    aside.rename(manifest)
    assert given.pass_until_tried(LAST_RETRY_S + 1).model.generation == 2


def test_at_its_start_a_worker_passes_over_a_missing_artifact_within_seconds(given):
    given.announce(first := given.upload(1))
    given.announce(lost(first, 2))
    began = given.now
    assert given.pass_until_tried(LIMIT_S / 4).pointer == first
    assert given.now - began >= LIMIT_S / 10


@pytest.mark.parametrize("is_running", [True, False])
def test_of_two_models_of_one_generation_every_worker_takes_the_later_one(given, is_running):
    first, second = given.upload(1, seed=1), given.upload(1, seed=2)
    given.announce(first)
    if is_running:
        assert given.fetcher.fetch_newest().pointer == first
    given.announce(second)
    assert given.fetcher.fetch_newest().pointer == second
    older = refused("older")
    given.announce(second)
    assert given.fetcher.fetch_newest() is None
    assert refused("older") == older + 1


@pytest.mark.parametrize("generation", [MAX_FOLLOWED + 1, MAX_GENERATION])
def test_a_generation_that_the_trainer_ignores_delays_no_worker(given, generation):
    first, malformed = given.upload(1), refused("malformed")
    given.announce(first)
    given.announce(replace(first, generation=generation))  # its artifact is not in the store
    assert given.fetcher.fetch_newest().pointer == first
    assert refused("malformed") == malformed + 1
    given.now += LIMIT_S + 1
    assert given.missing() == ""
    given.announce(second := given.upload(2))
    assert given.fetcher.fetch_newest().pointer == second


def test_generations_go_on_beyond_the_largest_that_is_followed_at_once():
    newest = -1
    for generation in (1, MAX_FOLLOWED, MAX_FOLLOWED + 1, MAX_FOLLOWED + 2):
        assert is_followed(generation, newest)
        newest = generation
    assert not is_followed(newest + 2, newest)


def lost(pointer, generation, **changes):
    """Return a pointer to an artifact that the store never had."""
    return replace(pointer, generation=generation, sha256=f"{generation:064x}", location="gone", **changes)


def test_an_artifact_that_the_store_lacks_is_passed_over_before_the_worker_counts_as_behind(given):
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    missing, second = refused("missing"), given.upload(2)
    for pointer in (lost(first, 9), second, lost(first, 7), lost(first, 9)):
        given.announce(pointer)
    began = given.now
    assert given.pass_until_tried(LIMIT_S).pointer == second
    assert 0.5 * LIMIT_S <= given.now - began < LIMIT_S, "an artifact may come a little late"
    assert refused("missing") == missing + 2
    assert (given.missing(), given.context.awaited_model) == ("", None)
    given.announce(lost(first, 9))
    assert given.pass_until_tried(2 * LIMIT_S) is None
    assert given.missing() == "", "the same pointer again is nothing new"


def test_pointers_to_nothing_that_keep_coming_delay_no_model_for_longer(given):
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    given.announce(second := given.upload(2))
    for generation in range(10, 130):
        given.announce(lost(first, generation))
        if found := given.pass_until_tried(0.5):
            break
        assert given.missing() == ""
    assert found.pointer == second


def test_a_model_that_was_passed_over_is_looked_for_now_and_then(given):
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    second = given.upload(2)
    folder = given.store / second.location.rpartition("/")[2]
    folder.rename(given.store / "late")
    given.announce(second)
    assert given.pass_until_tried(3 * LIMIT_S) is None
    (given.store / "late").rename(folder)
    assert given.pass_until_tried(LOOK_AGAIN_S + 1).pointer == second


def test_a_model_that_another_worker_serves_is_waited_for_and_the_worker_says_so(given):
    """This worker has another store by mistake: its lists would have fewer and fewer items."""
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    given.announce(second := lost(first, 2))
    code = ItemCode(2, "00" * 8, 1, 1, generation_hash=second.generation_hash)
    assert given.fetcher.may_be_next(code)
    assert given.pass_until_tried(LIMIT_S + 1) is None
    assert "cannot load generation 2" in given.missing()


def test_the_codes_of_another_worker_bring_back_a_model_that_was_passed_over(given):
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    given.announce(second := lost(first, 2))
    assert given.pass_until_tried(2 * LIMIT_S) is None
    assert given.missing() == ""
    given.fetcher.may_be_next(ItemCode(2, "00" * 8, 1, 1, generation_hash=second.generation_hash))
    assert given.pass_until_tried(LIMIT_S - 1) is None
    assert given.missing() == "", "the time counts anew"
    assert given.pass_until_tried(2) is None
    assert "cannot load generation 2" in given.missing()


def test_a_store_without_any_artifact_is_one_that_fails(given):
    """It may be a folder on which nothing is mounted."""
    given.announce(first := given.upload(1))
    assert given.fetcher.fetch_newest().pointer == first
    given.take_away()
    given.store.mkdir()
    given.announce(lost(first, 2))
    assert given.pass_until_tried(LIMIT_S + 1) is None
    assert "cannot load generation 2" in given.missing()


def test_the_fetcher_keeps_few_pointers_however_many_are_announced(given):
    pointer = given.upload(1)
    given.take_away()
    for _ in range(1000):
        given.announce(pointer)
    assert len(given.fetcher._pending) == 1
    for generation in range(2, MAX_PENDING + 100):
        given.announce(lost(pointer, generation))
    assert len(given.fetcher._pending) == MAX_PENDING
    given.give_back()


class Tables(Log):
    """A consumer that remembers what it was assigned."""

    def assign(self, starts):
        self.starts = dict(starts)


def test_codes_that_came_before_their_model_are_read_again_once_it_is_loaded(given):
    models, items, codes = (Partition(name, 0) for name in ("models", "items", "item-codes"))
    log = Tables(positions={models: 2, items: 7, codes: 9}, ends={codes: 9})
    tables = GlobalTables(given.context, log, None)
    first, second = given.upload(1), given.upload(2)
    tables.process([record_of(first)])
    code = ItemCode(2, "00" * 8, 1, 1, generation_hash=second.generation_hash)
    early = Record("item-codes", 0, 8, b"i1", encode_item_code(code), T)
    bad = Record("item-codes", 0, 7, b"i1", b"{", T)
    log.starts = None
    tables.process([bad, early])
    assert log.starts is None
    tables.process([record_of(second)])
    assert log.starts == {models: 2, items: 7, codes: BEGINNING}
    assert len(tables._letters.kept()) == 1
    tables.process([bad, early, Record("item-codes", 0, 9, b"i1", b"{", T)])
    assert len(tables._letters.kept()) == 2, "a bad record that is read again has its dead letter already"
    third = given.upload(3)
    log.starts = None
    tables.process([record_of(third)])
    assert log.starts is None, "no codes were missed"


def test_codes_that_are_read_together_with_a_model_count_as_read_for_the_first_time(given):
    """The topic is read again from its beginning, and their bad ones would get no dead letter then."""
    models, codes = Partition("models", 0), Partition("item-codes", 0)
    log = Tables(positions={models: 1, codes: 9}, ends={codes: 11})
    tables = GlobalTables(given.context, log, None)
    first, second = given.upload(1), given.upload(2)
    tables.process([record_of(first)])
    code = ItemCode(2, "00" * 8, 1, 1, generation_hash=second.generation_hash)
    tables.process([Record("item-codes", 0, 8, b"i1", encode_item_code(code), T)])
    log.found["positions"] = {models: 2, codes: 11}
    bad = Record("item-codes", 0, 10, b"i1", b"{", T)
    together = [record_of(second), Record("item-codes", 0, 9, b"i1", encode_item_code(code), T), bad]
    tables.process(together)
    assert log.starts[codes] == BEGINNING
    batch = list(given.context.table_queue.queue)[-1]
    assert batch.codes == [("i1", 0, code), ("i1", 0, UNREADABLE)]
    assert batch.repeated_codes == []
    assert [record for record, _ in tables._letters.kept()] == [bad]
