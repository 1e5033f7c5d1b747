"""One refit: fit on the older ratings, measure on the newest, publish if it is not worse."""

import logging
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dch import DchConfig, Model, Ratings
from dch.artifact import save_model
from dch.evaluation.compare import ndcg_of
from dch.splits import by_time
from streams import artifacts, topics
from streams.clients import Producer
from streams.messages import ModelPointer, encode_model_pointer
from streams.messages.state import MODEL_KEY
from streams.records import Output
from streams.settings import Settings

log = logging.getLogger("streams.trainer")

HELD_BACK = 0.05
"""Share of the ratings, the newest, that the candidate does not see and is measured on."""

WORTH_MEASURING = 2000
"""With fewer ratings than this, the newest of them are too few to tell two models apart."""


class StoppedError(Exception):
    """The trainer was told to end in the middle of a fit."""


@dataclass(frozen=True)
class Material:
    """What a refit starts from."""

    ratings: Ratings
    watermarks: Mapping[str, int]
    """By partition of ``ratings``: the first offset that is not among them."""

    current: Model | None
    """The model in service."""

    generation: int
    """The number of the new one."""


def refit(settings: Settings, material: Material, stop: threading.Event) -> str:
    """Fit and publish; return the outcome: ``published`` or ``rejected``.

    Raises:
        StoppedError: ``stop`` was set.
        DchError: the ratings or settings do not allow a fit, or the store cannot be written.
    """
    began = time.monotonic()
    gated = material.current is not None and len(material.ratings) >= WORTH_MEASURING
    train, newest = by_time(material.ratings, 1 - HELD_BACK) if gated else (material.ratings, None)
    candidate = _fit(settings, train, material, stop)
    if newest is not None and material.current is not None:
        ours, theirs = (ndcg_of(model, train, newest) for model in (candidate, material.current))
        if ours is not None and theirs is not None:
            log.info(
                "candidate measured generation=%d ndcg=%.4f in_service=%.4f",
                candidate.generation,
                ours,
                theirs,
            )
            if ours < theirs - settings.refit_margin:
                return "rejected"
            candidate = replace(candidate, metrics={**candidate.metrics, "newest_ndcg@20": ours})
    _publish(settings, candidate, material.watermarks)
    log.info(
        "generation published generation=%d ratings=%d took_s=%.1f",
        candidate.generation,
        len(train),
        time.monotonic() - began,
    )
    return "published"


def _fit(settings: Settings, train: Ratings, material: Material, stop: threading.Event) -> Model:
    from dch.training import fit_model  # torch takes seconds to import; health answers meanwhile

    config = DchConfig(
        bits=settings.bits,
        objective=settings.objective,  # type: ignore[arg-type] # one of the choices of the setting
        seed=settings.seed,
        device=settings.device,
    )
    start = material.current
    if start is not None and (start.bits, start.user_tower.hidden) != (config.bits, config.hidden):
        start = None  # other settings than before: nothing to start from

    def look(done: int, planned: int, loss: float) -> None:
        if stop.is_set():
            raise StoppedError

    return fit_model(train, config, generation=material.generation, start=start, progress=look)


def _publish(settings: Settings, model: Model, watermarks: Mapping[str, int]) -> None:
    location = artifacts.location_of(settings.artifacts, model.generation)
    with tempfile.TemporaryDirectory(prefix="dch-trainer-") as folder:
        local = Path(folder) / "artifact"
        save_model(local, model)
        sha256 = artifacts.upload(local, location)
    pointer = ModelPointer(
        generation=model.generation,
        location=location,
        sha256=sha256,
        watermarks=watermarks,
        trained_at=time.time_ns() // 1_000_000,
        metrics=dict(model.metrics),
    )
    producer = Producer(settings)
    producer.send(Output(settings.topic(topics.MODELS.name), MODEL_KEY, encode_model_pointer(pointer)))
    producer.flush()
