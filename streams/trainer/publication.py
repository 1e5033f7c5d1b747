"""Whether a fitted model is good enough, and how it gets into service."""

import logging
import time
from pathlib import Path

from dch.artifact import load_model
from streams import artifacts, topics
from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import MODEL_KEY, ModelPointer, encode_model_pointer
from streams.settings import TrainerSettings
from streams.trainer.fit import FitResult
from streams.trainer.rating_log import Watermarks

log = logging.getLogger("streams.trainer")


def is_good_enough(found: FitResult, margin: float) -> bool:
    """Say whether a candidate may replace the model in service: not worse than it by more than the margin."""
    if found.candidate is None or found.in_service is None:
        return True
    return found.candidate >= found.in_service - margin


def publish(settings: TrainerSettings, folder: Path, generation: int, watermarks: Watermarks) -> ModelPointer:
    """Put an artifact into the store, then its pointer on the topic: who reads the pointer finds the files.

    Raises:
        ArtifactError: the store cannot be written.
        DeliveryError: the pointer did not reach the broker.
    """
    location = artifacts.location_of(settings.artifacts, generation)
    pointer = ModelPointer(
        generation=generation,
        location=location,
        sha256=artifacts.upload(folder, location),
        watermarks={str(partition): offset for partition, offset in watermarks.items()},
        trained_at=time.time_ns() // 1_000_000,
        metrics=dict(load_model(folder).metrics),
    )
    producer = Producer(settings)
    producer.send(Output(settings.topic(topics.MODELS.name), MODEL_KEY, encode_model_pointer(pointer)))
    producer.flush()
    log.info("generation published generation=%d location=%s", generation, location)
    return pointer
