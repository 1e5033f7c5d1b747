"""One fit, in a process of its own: it can be ended at any moment, and gives back its memory.

Nothing here knows of topics: ratings come in, an artifact in a folder and two figures come out.
"""

import signal
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


@dataclass(frozen=True)
class FitRequest:
    """What to fit."""

    ratings: Ratings
    """To learn from."""

    newest: Ratings | None
    """The newest ratings, over the same ids, held back to measure on; None: nothing to measure against."""

    config: DchConfig
    generation: int
    in_service: tuple[str, str] | None
    """Location and checksum of the model in service: what to start from and to be measured against."""


@dataclass(frozen=True)
class FitResult:
    """What came out."""

    error: str = ""
    """Why there is no model; empty when there is one."""

    is_hopeless: bool = False
    """Whether no later fit can do better either: something is not installed, or set wrong."""

    candidate: float | None = None
    """NDCG@20 on the newest ratings; None where nothing was measured."""

    in_service: float | None = None
    """The same of the model in service."""


def fit_in_child(job: FitRequest, folder: Path, result: Connection) -> None:
    """Fit, measure, write the artifact to a folder, and send a ``FitResult``. Runs in a child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; our parent ends us
    try:
        result.send(fit(job, folder))
    except DchError as error:
        hopeless = isinstance(error, MissingExtraError | ConfigError)
        result.send(FitResult(error=str(error), is_hopeless=hopeless))


def fit(job: FitRequest, folder: Path) -> FitResult:
    """Fit, measure, and write the artifact to a folder.

    Raises:
        DchError: the ratings do not suffice, or something that a fit needs is missing.
    """
    # torch takes seconds to import: the trainer itself goes without
    from dch.training import fit_model, has_shape, needs_full_fit

    current = _current(job)
    fits = current is not None and has_shape(current, job.config) and not needs_full_fit(current, job.ratings)
    start = current if fits else None
    model = fit_model(job.ratings, job.config, generation=job.generation, start=start)
    found = FitResult()
    if job.newest is not None and current is not None:
        found = compare(model, current, job.ratings, job.newest)
        model = replace(model, metrics={**model.metrics, f"newest_ndcg@{K}": found.candidate or 0.0})
    save_model(folder, model)
    return found


def compare(candidate: Model, current: Model, ratings: Ratings, newest: Ratings) -> FitResult:
    """Stream the newest ratings past both models, as a worker would, each one tried before it is learned.

    Both are given all of ``ratings`` first, and the same trials: a rating that one of them could not rank at
    all counts as missed by that one.
    """
    trials = newest.values >= candidate.positive_from
    ranks = [stream(serve(model, ratings), newest, trials) for model in (candidate, current)]
    tried = (ranks[0].codes != NOT_TRIED) | (ranks[1].codes != NOT_TRIED)
    if not tried.any():
        return FitResult()
    return FitResult(candidate=_ndcg(ranks[0], tried), in_service=_ndcg(ranks[1], tried))


def _ndcg(ranks: Ranks, tried: NDArray[np.bool_]) -> float:
    places = ranks.codes[tried]
    listed = (places != NOT_TRIED) & (places < K)
    return float(np.mean(np.where(listed, 1 / np.log2(np.maximum(places, 0) + 2.0), 0.0)))


def _current(job: FitRequest) -> Model | None:
    """Return the model in service; one that cannot be read any more is no reason not to refit."""
    if job.in_service is None:
        return None
    try:
        return artifacts.load(*job.in_service)
    except ArtifactError:
        return None
