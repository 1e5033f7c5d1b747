"""One fit in a child process, so that the trainer can end it at any time and its memory is freed.

A fit reads ratings, writes an artifact to a folder, and measures the new model beside the model in service.
"""

import logging
import multiprocessing
import shutil
import signal
import tempfile
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dch.artifact import save_model
from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ArtifactError, ConfigError, DchError, MissingExtraError
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.prequential_stream import stream
from dch.models.model import Model
from dch.state.prequential import NOT_TRIED, Ranks
from streams import artifacts

K = 20

TERMINATE_S = 3.0
"""Seconds that a child process may take to end after SIGTERM, before it is killed."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit."""

    ratings: Ratings
    """The training ratings."""

    newest: Ratings | None
    """The newest ratings, held back to measure on, over the same ids; None measures nothing."""

    config: DchConfig
    generation: int
    in_service: tuple[str, str] | None
    """Location and checksum of the model in service: the start of the fit, and the model to compare with."""


@dataclass(frozen=True)
class FitResult:
    """The outcome of a fit."""

    error: str = ""
    """Why the fit failed; empty if it succeeded."""

    is_permanent: bool = False
    """Whether every later fit would fail, too: a package is missing, or a setting is invalid."""

    candidate: float | None = None
    """NDCG@20 of the new model on the newest ratings; None if it was not measured."""

    in_service: float | None = None
    """NDCG@20 of the model in service on the same ratings."""


class FitProcess:
    """A fit in a child process. The artifact stays in ``folder`` until ``close``."""

    def __init__(self, request: FitRequest) -> None:
        # The threads of librdkafka and torch do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self._scratch = Path(tempfile.mkdtemp(prefix="dch-fit-"))
        self.folder = self._scratch / "artifact"
        self._result, child_end = context.Pipe(duplex=False)
        self._process = context.Process(
            target=fit_in_child, args=(request, self.folder, child_end), name="fit", daemon=True
        )
        self._process.start()
        child_end.close()  # otherwise the pipe stays open when the child ends

    def result(self) -> FitResult | None:
        """Return the result, or None while the fit runs."""
        if not self._result.poll():
            return None
        try:
            result: FitResult = self._result.recv()
        except EOFError:
            self._process.join(TERMINATE_S)
            return FitResult(error=f"the fit ended with exit code {self._process.exitcode} and no result")
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
    try:
        result.send(fit(request, folder))
    except DchError as error:
        is_permanent = isinstance(error, MissingExtraError | ConfigError)
        result.send(FitResult(error=str(error), is_permanent=is_permanent))


def fit(request: FitRequest, folder: Path) -> FitResult:
    """Fit a model, measure it, and write its artifact to a folder.

    Raises:
        DchError: the ratings do not suffice for a fit, or a package is missing.
    """
    # The trainer process never imports torch, which takes seconds.
    from dch.training import fit_model, has_shape, needs_full_fit

    current = _model_in_service(request)
    is_warm = (
        current is not None
        and has_shape(current, request.config)
        and not needs_full_fit(current, request.ratings)
    )
    start = current if is_warm else None
    model = fit_model(request.ratings, request.config, generation=request.generation, start=start)
    result = FitResult()
    if request.newest is not None and current is not None:
        result = compare(model, current, request.ratings, request.newest)
        model = replace(model, metrics={**model.metrics, f"newest_ndcg@{K}": result.candidate or 0.0})
    save_model(folder, model)
    return result


def compare(candidate: Model, current: Model, ratings: Ratings, newest: Ratings) -> FitResult:
    """Measure two models on the newest ratings: test on each rating, then apply it, as a worker does.

    Both models start from all of ``ratings``. Both are tested on the same events: an event that a model
    cannot rank counts as a miss of that model.
    """
    trials = newest.values >= candidate.positive_from
    ranks = [stream(serve(model, ratings), newest, trials) for model in (candidate, current)]
    tried = (ranks[0].codes != NOT_TRIED) | (ranks[1].codes != NOT_TRIED)
    if not tried.any():
        return FitResult()
    return FitResult(candidate=_ndcg(ranks[0], tried), in_service=_ndcg(ranks[1], tried))


def is_good_enough(result: FitResult, margin: float) -> bool:
    """Tell whether a new model may replace the model in service: its NDCG@20 is lower by ``margin`` at most.

    An unmeasured model is good enough.
    """
    if result.candidate is None or result.in_service is None:
        return True
    return result.candidate >= result.in_service - margin


def _ndcg(ranks: Ranks, tried: NDArray[np.bool_]) -> float:
    found = ranks.codes[tried]
    listed = (found != NOT_TRIED) & (found < K)
    return float(np.mean(np.where(listed, 1 / np.log2(np.maximum(found, 0) + 2.0), 0.0)))


def _model_in_service(request: FitRequest) -> Model | None:
    """Return the model in service, or None if it cannot be read: that must not prevent a refit."""
    if request.in_service is None:
        return None
    try:
        return artifacts.load(*request.in_service)
    except ArtifactError:
        return None
