"""Records of ``models``: a pointer to the artifact of each published generation."""

from collections.abc import Mapping

import msgspec

from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import MAX_INT64, MAX_TIME_MS, Fields

MODEL_KEY = b"model"
"""The one key of the topic, so that compaction keeps the newest pointer."""


class ModelPointer(msgspec.Struct, frozen=True, kw_only=True):
    """The location of a generation, and the ratings it was fitted on."""

    generation: int
    location: str
    sha256: str
    """Checksum of the artifact's manifest."""

    watermarks: Mapping[str, int]
    """The first offset of ``ratings`` that the fit did not see, by partition number as text."""

    trained_at: int
    """Milliseconds since 1970."""

    metrics: Mapping[str, object]


def decode_model_pointer(record: Record) -> ModelPointer:
    """Parse a record of ``models``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    fields = Fields(open_record(record)[0])
    watermarks = Fields(fields.mapping("watermarks"), "watermarks.")
    return ModelPointer(
        generation=fields.integer("generation", low=0, high=MAX_INT64),
        location=fields.text("location"),
        sha256=fields.hexadecimal("sha256", 1, 32),
        watermarks={
            name: watermarks.integer(name, low=0, high=MAX_INT64) for name in fields.mapping("watermarks")
        },
        trained_at=fields.integer("trained_at", low=0, high=MAX_TIME_MS),
        metrics=fields.mapping("metrics"),
    )


def encode_model_pointer(pointer: ModelPointer) -> bytes:
    """Return a model pointer as JSON."""
    return msgspec.json.encode(pointer)
