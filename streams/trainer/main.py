"""The trainer process: read the log while fits run in a child process, and publish good models."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import DchError
from streams import artifacts, topics
from streams.errors import StreamError
from streams.health import Health
from streams.kafka import Admin
from streams.lifecycle import stop_on_signals
from streams.metrics import REFITS
from streams.settings import TrainerSettings
from streams.trainer.fit import FitProcess, FitRequest, FitResult, is_good_enough
from streams.trainer.rating_log import UnseenRatings, Watermarks
from streams.trainer.schedule import Schedule
from streams.trainer.source import Source, watermarks_of

log = logging.getLogger("streams.trainer")

NEWEST_SHARE = 0.05
"""Share of all ratings that a refit holds back to measure on, if the model in service has not seen them."""

MIN_NEWEST = 200
"""Fewest ratings to measure on: with fewer, two models differ by chance alone."""


class FitFailedError(StreamError):
    """The fit of ``--once`` failed or was not good enough, or no fit can succeed with these settings."""


@dataclass(frozen=True)
class Running:
    """A running fit."""

    process: FitProcess
    generation: int
    watermarks: Watermarks
    started: float


def run(settings: TrainerSettings, *, once: bool = False) -> None:
    """Run a trainer until SIGINT or SIGTERM; with ``once``, until one fit is done.

    Raises:
        StreamError: a topic differs from its definition, no broker answers, or the fit of ``once`` fails.
    """
    serve(settings, stop_on_signals(), once=once)


def serve(settings: TrainerSettings, stop: threading.Event, *, once: bool = False) -> None:
    """Run a trainer until ``stop`` is set; see ``run``."""
    topics.require(Admin(settings), settings)
    source = Source(settings)
    try:
        checks = {"ratings read": lambda: source.is_caught_up}
        with Health(settings.metrics_host, settings.metrics_port, checks) as health:
            log.info("trainer started metrics_port=%d", health.port)
            Trainer(settings, source, stop, once=once).run()
    finally:
        source.close()
    log.info("trainer stopped")


class Trainer:
    """Starts fits when they are due, and publishes models that are good enough."""

    def __init__(
        self, settings: TrainerSettings, source: Source, stop: threading.Event, *, once: bool
    ) -> None:
        self._settings, self._source, self._stop, self._once = settings, source, stop, once
        self._schedule = Schedule(settings.refit_ratings, settings.refit_interval_s)
        self._running: Running | None = None
        self._unseen = UnseenRatings(source.log)  # by the last started fit, or by the model in service

    def run(self) -> None:
        """Read, fit and publish until ``stop`` is set, or until one fit is done with ``once``."""
        try:
            while not self._stop.is_set() and not self._step():
                pass
        finally:
            if self._running is not None:
                self._running.process.close()

    def _step(self) -> bool:
        """Run one iteration; return whether the fit of ``once`` is done."""
        source = self._source
        if source.read():
            self._unseen.restart(watermarks_of(source.in_service))
        if not source.is_caught_up:
            return False
        if self._running is not None:
            return self._check(self._running) and self._once
        if self._is_due():
            self._running = self._start()
        return False

    def _is_due(self) -> bool:
        has_model = self._source.in_service is not None
        if self._once and not len(self._source.log):
            raise FitFailedError("there are no ratings to fit; run: dch publish FILE")
        return self._once or self._schedule.is_due(n_new=self._unseen.count(), has_model=has_model)

    def _start(self) -> Running:
        current = self._source.in_service
        ratings, beyond = self._source.log.ratings(watermarks_of(current))
        train, newest = (ratings, None) if current is None else hold_back(ratings, beyond)
        generation = 1 if current is None else current.generation + 1
        watermarks = self._source.positions()
        self._unseen.restart(watermarks)
        self._schedule.started()
        request = FitRequest(
            ratings=train,
            newest=newest,
            config=_fit_config(self._settings),
            generation=generation,
            in_service=None if current is None else (current.location, current.sha256),
        )
        log.info(
            "fit started generation=%d ratings=%d held_back=%d", generation, len(train), len(newest or ())
        )
        return Running(FitProcess(request), generation, watermarks, time.monotonic())

    def _check(self, running: Running) -> bool:
        """Return whether a fit is done; if so, publish its model or log why not."""
        result = running.process.result()
        if result is None:
            return False
        try:
            outcome = self._publish(running, result)
        except DchError as error:
            result, outcome = FitResult(error=str(error)), "failed"
        finally:
            self._running = None
            running.process.close()
        REFITS.labels(outcome).inc()
        _log_outcome(running, result, outcome)
        if result.is_permanent or (self._once and outcome != "published"):
            reason = result.error or "the new model is worse than the model in service"
            raise FitFailedError(f"nothing was published: {reason}")
        return True

    def _publish(self, running: Running, result: FitResult) -> str:
        """Publish the model of a fit if it is good enough; return the outcome."""
        if result.error:
            return "failed"
        if not is_good_enough(result, self._settings.refit_margin):
            return "rejected"
        pointer = artifacts.publish_model(self._settings, running.process.folder, running.watermarks)
        log.info("generation published generation=%d location=%s", pointer.generation, pointer.location)
        return "published"


def hold_back(ratings: Ratings, is_new: NDArray[np.bool_]) -> tuple[Ratings, Ratings | None]:
    """Split off the newest ratings that the model in service has not seen, to compare both models fairly.

    Args:
        ratings: oldest first.
        is_new: (n,) whether the model in service has not seen a rating.

    Returns:
        The ratings to fit, and the ratings to measure on; None if too few are new.
    """
    newest = np.flatnonzero(is_new)[-max(int(len(ratings) * NEWEST_SHARE), MIN_NEWEST) :]
    if len(newest) < MIN_NEWEST or len(newest) == len(ratings):
        return ratings, None
    held = np.zeros(len(ratings), np.bool_)
    held[newest] = True
    return ratings.subset(~held), ratings.subset(held)


def _fit_config(settings: TrainerSettings) -> DchConfig:
    return DchConfig(
        bits=settings.bits,
        objective=settings.objective,
        seed=settings.seed,
        device=settings.device,
    )


def _log_outcome(running: Running, result: FitResult, outcome: str) -> None:
    log.log(
        logging.INFO if outcome == "published" else logging.WARNING,
        "fit done generation=%d outcome=%s newest_ndcg=%s in_service_ndcg=%s took_s=%.1f%s",
        running.generation,
        outcome,
        _format(result.candidate),
        _format(result.in_service),
        time.monotonic() - running.started,
        result.error and f" error={result.error}",
    )


def _format(ndcg: float | None) -> str:
    return "unmeasured" if ndcg is None else f"{ndcg:.4f}"
