"""One fit in a child process, so that the trainer can end it at any time and its memory is freed.

A fit reads ratings, measures the new model beside the model in service, lets an accepted model learn the
ratings that it was measured on, and writes an artifact to a folder.
"""

import logging
import multiprocessing
import shutil
import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from dch.artifact import save_model
from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ArtifactError, ConfigError, DchError, MissingExtraError
from dch.models.model import Model
from streams import artifacts
from streams.errors import StreamError
from streams.lifecycle import end_with_parent
from streams.trainer.gate import FAILED, PUBLISHED, UNMEASURED, FitResult, K, judge, too_few_new

log = logging.getLogger("streams.trainer")

NEWEST_NDCG = f"newest_ndcg@{K} before the last update"
"""Name of the metric in a model that holds the figure with which it was accepted."""

IN_SERVICE_NDCG = f"newest_ndcg@{K} of the model in service"
"""Name of the metric in a model that holds the figure of the model before, on the same ratings."""

TERMINATE_S = 3.0
"""Seconds that a child process may take to end after SIGTERM, before it is killed."""


class FitStartError(StreamError):
    """The child process of a fit could not be started. This refit failed; the next one may not."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit."""

    ratings: Ratings
    """The training ratings."""

    newest: Ratings | None
    """New ratings, held back to measure on, over the same ids; None measures nothing."""

    config: DchConfig
    generation: int
    in_service: tuple[str, str] | None
    """Location and checksum of the model in service: the start of the fit, and the model to compare with."""

    margin: float = 0.0
    """How much lower NDCG@20 of the new model may be than that of the model in service."""

    accept_unmeasured: bool = False
    """Whether to publish a model that could not be compared with the model in service."""

    @property
    def is_measurable(self) -> bool:
        """Whether there is something to measure on, or nothing to compare with."""
        return self.in_service is None or self.newest is not None


class FitProcess:
    """A fit in a child process. The artifact stays in ``folder`` until ``close``.

    Raises:
        FitStartError: the child process could not be started; nothing is left of it.
    """

    def __init__(self, request: FitRequest) -> None:
        try:
            self._start(request)
        except Exception as error:
            raise FitStartError(f"the fit could not be started: {error!r}") from error

    def _start(self, request: FitRequest) -> None:
        """Start the child, which is sent the ratings: it may end meanwhile, and memory or disk be full."""
        # The threads of librdkafka and torch do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ExitStack() as on_failure:
            self._scratch = Path(tempfile.mkdtemp(prefix="dch-fit-"))
            on_failure.callback(shutil.rmtree, self._scratch, ignore_errors=True)
            self.folder = self._scratch / "artifact"
            self._result, child_end = context.Pipe(duplex=False)
            on_failure.callback(self._result.close)
            with child_end:  # otherwise the pipe stays open when the child ends
                self._process = context.Process(
                    target=fit_in_child, args=(request, self.folder, child_end), name="fit", daemon=True
                )
                self._process.start()
            on_failure.pop_all()

    def result(self) -> FitResult | None:
        """Return the result, or None while the fit runs."""
        if not self._result.poll():
            return None
        try:
            result: FitResult = self._result.recv()
        except (EOFError, OSError):
            self._process.join(TERMINATE_S)
            reason = f"the fit ended with exit code {self._process.exitcode} and no result"
            return FitResult(FAILED, reason)
        return result

    def close(self) -> None:
        """End the child process if it still runs, and remove the folder."""
        self._process.terminate()
        self._process.join(TERMINATE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._result.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def fit_in_child(request: FitRequest, folder: Path, result: Connection) -> None:
    """Run ``fit`` in a child process and send its ``FitResult``."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    if end_with_parent is not None:
        end_with_parent()  # also where the parent is killed: its fit is of no use
    try:
        result.send(fit(request, folder))
    except DchError as error:
        is_permanent = isinstance(error, MissingExtraError | ConfigError)
        result.send(FitResult(FAILED, str(error), is_permanent=is_permanent))


def fit(request: FitRequest, folder: Path) -> FitResult:
    """Fit a model, measure it, and write its artifact to a folder.

    A model to be published then learns the held-back ratings by an update, so it has seen all ratings.

    Raises:
        DchError: the ratings do not suffice for a fit, or a package is missing.
    """
    current = _model_in_service(request)
    if current is None and request.in_service is not None and not request.accept_unmeasured:
        return _nothing_to_compare_with(request.in_service[0])  # before a fit of minutes that nobody gets
    # The trainer process never imports torch, which takes seconds.
    from dch.training import fit_model, has_shape, needs_full_fit

    is_warm = (
        current is not None
        and has_shape(current, request.config)
        and not needs_full_fit(current, request.ratings)
    )
    start = current if is_warm else None
    model = fit_model(request.ratings, request.config, generation=request.generation, start=start)
    result = _judge(request, model, current)
    if result.candidate is not None and result.in_service is not None:
        figures = {NEWEST_NDCG: result.candidate, IN_SERVICE_NDCG: result.in_service}
        model = replace(model, metrics={**model.metrics, **figures})
    if result.outcome == PUBLISHED and request.newest is not None:
        model = _learn(model, request.ratings, request.newest, request.config)
    save_model(folder, model)
    return result


def _judge(request: FitRequest, model: Model, current: Model | None) -> FitResult:
    if request.in_service is None:
        return FitResult()  # there is nothing to compare with
    if current is None:
        result = _nothing_to_compare_with(request.in_service[0])
    elif request.newest is None:
        result = too_few_new()
    else:
        result = judge(model, current, request.ratings, request.newest, request.margin)
    is_accepted = result.outcome == UNMEASURED and request.accept_unmeasured
    return replace(result, outcome=PUBLISHED) if is_accepted else result


def _nothing_to_compare_with(location: str) -> FitResult:
    return FitResult(UNMEASURED, f"the model in service cannot be read from {location}")


def _learn(model: Model, ratings: Ratings, newest: Ratings, config: DchConfig) -> Model:
    """Return the model after a few steps on the newest ratings, as the same generation."""
    from dch.training.update import update_model

    updated = update_model(model, ratings, newest, config, seed=config.seed)
    return replace(updated, generation=model.generation)


def _model_in_service(request: FitRequest) -> Model | None:
    """Return the model in service, or None if it cannot be read: that must not prevent a refit."""
    if request.in_service is None:
        return None
    try:
        return artifacts.load(*request.in_service)
    except ArtifactError as error:
        log.warning("the model in service cannot be read: %s", error)
        return None
