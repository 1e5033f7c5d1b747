"""When a trainer refits, and on what: from the records that it reads to the fit that it starts."""

import multiprocessing
import tempfile
import threading

import msgspec
import numpy as np
import pytest

from streams.messages import ModelPointer, RatingEvent, encode_rating
from streams.metrics import REFITS
from streams.settings import TrainerSettings
from streams.trainer import main
from streams.trainer.gate import FitResult
from streams.trainer.rating_log import RatingLog, UnseenRatings
from tests.streams.messages.records import record


def rating_records(first, last):
    return [
        record(
            encode_rating(RatingEvent(f"u{n % 70}", f"i{n}", float(n % 5 + 1), 1_700_000_000_000 + n)),
            offset=n,
        )
        for n in range(first, last)
    ]


def pointer(generation, seen):
    return ModelPointer(
        generation=generation,
        location="/nowhere",
        sha256="0" * 64,
        watermarks={"0": seen},
        trained_at=0,
        metrics={},
    )


class Script:
    """In place of the source: each reading takes the next entry, a pointer or rating records."""

    def __init__(self, *entries, caught_up_after):
        self.log, self.in_service, self.newest_models = RatingLog(), None, []
        self._entries, self._left, self._n_read = list(entries), caught_up_after, 0

    @property
    def is_caught_up(self):
        return self._left <= 0

    @property
    def next_generation(self):
        return 1 if self.in_service is None else self.in_service.generation + 1

    def read(self):
        self._left -= 1
        entry = self._entries.pop(0) if self._entries else []
        if isinstance(entry, ModelPointer):
            self.in_service = entry
            return True
        self.log.add_ratings(entry)
        self._n_read += len(entry)
        return False

    def positions(self):
        return {0: self._n_read}

    def require_models(self):
        pass


class Turns:
    """In place of the publisher: whether this trainer is active, by turns; the last one stays."""

    group = "trainer"

    def __init__(self, *turns):
        self._turns = list(turns)

    def poll(self, *, has_fit=False):
        return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]

    def note(self, pointer):
        pass


@pytest.fixture
def started(monkeypatch):
    """The requests of the fits that run; none of them ever ends by itself."""
    requests = []

    class Process:
        def __init__(self, request):
            self._request = request
            requests.append(request)

        def result(self):
            return None

        def close(self):
            requests.remove(self._request)

    monkeypatch.setattr(main, "FitProcess", Process)
    return requests


def trainer_on(source, turns=(True,), *, once=False, **changes):
    settings = TrainerSettings(refit_ratings=500, **changes)
    return main.Trainer(settings, source, Turns(*turns), threading.Event(), once=once)


@pytest.mark.parametrize("first", ["pointer", "ratings"])
@pytest.mark.parametrize("interval", [0.0, 1e-9])
def test_a_restarted_trainer_counts_what_the_model_in_service_has_seen(started, first, interval):
    entries = [pointer(3, seen=2000), rating_records(0, 1200), rating_records(1200, 2000)]
    if first == "ratings":
        entries = [*entries[1:], entries[0]]
    source = Script(*entries, [], rating_records(2000, 2499), caught_up_after=3)
    trainer = trainer_on(source, refit_interval_s=interval)
    for _ in range(4):
        trainer._step()
    assert started == [], "nothing new was read"
    trainer._step()
    assert len(started) == (1 if interval else 0)


def test_a_restarted_trainer_refits_once_enough_ratings_are_new(started):
    source = Script(
        pointer(3, seen=2000), rating_records(0, 2000), rating_records(2000, 2499), caught_up_after=2
    )
    trainer = trainer_on(source)
    for _ in range(6):
        trainer._step()
    assert started == []
    source.log.add_ratings(rating_records(2499, 2500))
    trainer._step()
    (request,) = started
    assert request.generation == 4


def test_the_unseen_ratings_are_counted_from_new_watermarks():
    log = RatingLog()
    log.add_ratings(rating_records(0, 10))
    unseen = UnseenRatings(log)
    assert unseen.count() == 10
    unseen.restart({0: 12})
    assert unseen.count() == 0
    log.add_ratings(rating_records(10, 15))
    assert unseen.count() == unseen.count() == 3


def test_any_watermarks_and_any_batches_give_the_count_of_the_whole_log():
    rng = np.random.default_rng(0)
    log, unseen, end = RatingLog(), None, 0
    unseen = UnseenRatings(log)
    for _ in range(50):
        size = int(rng.integers(0, 4))
        log.add_ratings(rating_records(end, end + size))
        end += size
        if rng.random() < 0.3:
            watermarks = {0: int(rng.integers(0, end + 5))}
            unseen.restart(watermarks)
            assert unseen.count() == log.n_beyond(watermarks)
    assert end > 50


def test_a_standby_reads_the_log_and_fits_only_once_it_is_the_active_trainer(started):
    source = Script(rating_records(0, 2500), caught_up_after=1)
    trainer = trainer_on(source, turns=[False, False, False, True])
    for _ in range(3):
        trainer._step()
    assert (started, len(source.log)) == ([], 2500)
    trainer._step()
    (request,) = started
    assert request.generation == 1


@pytest.mark.parametrize("once", [False, True])
def test_a_standby_says_so_and_one_that_is_to_fit_once_says_how_to_give_up(started, caplog, once):
    caplog.set_level("INFO")
    trainer_on(Script(rating_records(0, 2500), caught_up_after=1), turns=[False], once=once)._step()
    (said,) = caplog.messages
    assert said.startswith("standing by until no other trainer is active")
    assert said.endswith("group=trainer")
    assert ("press Ctrl-C" in said) is once


def test_a_trainer_that_takes_over_first_reads_what_the_one_before_has_published(started):
    source = Script(rating_records(0, 2500), [], pointer(1, seen=2400), caught_up_after=1)
    asked = []

    def require_models():
        asked.append(source.in_service)
        source._left = 1

    source.require_models = require_models
    trainer = trainer_on(source, turns=[False, True])
    for _ in range(4):
        trainer._step()
    assert asked == [None]
    assert source.in_service == pointer(1, seen=2400)
    assert started == [], "only 100 ratings are new to the model of the trainer before"


def test_a_trainer_that_is_not_the_active_one_any_more_ends_its_fit(started):
    source = Script(rating_records(0, 2500), caught_up_after=1)
    trainer = trainer_on(source, turns=[True, True, False, True])
    trainer._step()
    assert len(started) == 1
    trainer._step()
    trainer._step()
    assert started == []
    trainer._step()
    assert len(started) == 1, "the next turn begins again with all ratings"


class Active(Turns):
    """In place of the publisher: as that, it begins again once another process has published."""

    def __init__(self):
        super().__init__(True)

    def note(self, pointer):
        self._turns = [False, True]


def test_a_rollback_ends_the_fit_that_runs_and_the_next_one_starts_from_it(started):
    """Ratings count from the rollback on: else a refit on the same ratings would be due at once."""
    rollback = msgspec.structs.replace(
        pointer(9, seen=2000),
        location="/copy-of-7",
        rolled_back_from=8,
        rolled_back_to=7,
        counted_from={"0": 3500},
    )
    source = Script(
        pointer(8, seen=3000),
        rating_records(0, 3500),
        rollback,
        rating_records(3500, 3999),
        caught_up_after=2,
    )
    trainer = main.Trainer(
        TrainerSettings(refit_ratings=500), source, Active(), threading.Event(), once=False
    )
    for _ in range(2):
        trainer._step()
    assert [request.generation for request in started] == [9]
    for _ in range(4):
        trainer._step()
    assert source.in_service == rollback
    assert started == [], "the fit from generation 8 is over, and fewer than 500 ratings came since"
    source.log.add_ratings(rating_records(3999, 4000))
    trainer._step()
    (request,) = started
    assert (request.generation, request.in_service) == (10, ("/copy-of-7", rollback.sha256))
    assert len(request.newest) == 200, "of 2000 ratings that the copied model has not seen"


def test_after_a_publication_the_next_fit_waits_until_its_pointer_was_read(monkeypatch):
    """A slow broker gives it late; a fit that began before would have the same generation once more."""
    requests = []

    class Done:
        """A fit that is done at once."""

        folder = "/folder"

        def __init__(self, request):
            requests.append(request.generation)

        def result(self):
            return FitResult()

        def close(self):
            pass

    class Publishing(Turns):
        def publish(self, folder, watermarks):
            source.require_models = lambda: setattr(source, "_left", 3)

    source = Script(
        rating_records(0, 2500), [], rating_records(2500, 3500), [], pointer(1, seen=2500), caught_up_after=1
    )
    monkeypatch.setattr(main, "FitProcess", Done)
    settings = TrainerSettings(refit_ratings=500)
    trainer = main.Trainer(settings, source, Publishing(True), threading.Event(), once=False)
    for _ in range(4):
        trainer._step()
    assert requests == [1], "1000 ratings are new, but the pointer was not read yet"
    trainer._step()
    assert requests == [1, 2]


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), RecursionError("while pickling"), MemoryError()], ids=repr
)
@pytest.mark.parametrize("where", ["process", "folder"])
def test_a_fit_that_cannot_be_started_is_a_failed_refit_and_leaves_nothing(
    monkeypatch, tmp_path, caplog, where, error
):
    """The child was killed while it was sent the ratings, or memory or disk are full."""
    tried = []

    def fail(*args, **kwargs):
        tried.append(1)
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if where == "process":
        monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", fail)
    else:
        monkeypatch.setattr(tempfile, "mkdtemp", fail)
    failed, source = REFITS.labels("failed")._value.get(), Script(rating_records(0, 600), caught_up_after=1)
    trainer = trainer_on(source)
    for _ in range(3):
        trainer._step()
    assert len(tried) == 1, "the next one waits for as many new ratings, as after any failed fit"
    assert REFITS.labels("failed")._value.get() == failed + 1
    assert f"reason=the fit could not be started: {error!r}" in caplog.text
    assert list(tmp_path.iterdir()) == []
    source._entries = [rating_records(600, 1200)]
    trainer._step()
    assert len(tried) == 2
