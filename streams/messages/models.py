"""Records of ``models``: a pointer to the artifact of each published generation."""

import re
from collections.abc import Mapping

import msgspec

from dch.artifact import generation_hash
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.envelope import open_record
from streams.messages.fields import MAX_GENERATION, MAX_OFFSET, MAX_RATING, Fields, short_repr
from streams.messages.times import latest_ms, own_time

MAX_FOLLOWED = 10**9
"""The largest generation that is followed at once. A pointer may name any number, and its artifact may be
missing; up to the largest that a pointer may have, this leaves room for a billion fits."""

MAX_LOCATION = 4096  # characters
MAX_PARTITIONS = 10_000
_PARTITION = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)
_LOCATION = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^:\x00-\x1f\x7f][^\x00-\x1f\x7f]*")


class ModelPointer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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

    rolled_back_from: int | None = None
    """Of a rollback: the generation that was in service before. None: a trainer fitted this generation."""

    rolled_back_to: int | None = None
    """Of a rollback: the generation of which this one is a copy."""

    counted_from: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Of a rollback: the first offset of ``ratings`` that counts towards the next refit, by partition."""

    @property
    def generation_hash(self) -> str:
        """What tells this model from another of the same generation; see ``Model.generation_hash``."""
        return generation_hash(self.sha256)


def is_followed(generation: int, newest: int) -> bool:
    """Return whether a generation is followed, after the newest one so far.

    Trainer and workers must agree: a worker would wait for ever for a generation that the trainer ignores,
    and so never comes to.
    """
    return generation <= max(MAX_FOLLOWED, newest + 1)


def model_key(generation: int) -> bytes:
    """Return the key of a pointer: compaction keeps the last pointer of every generation."""
    return str(generation).encode()


def decode_model_pointer(record: Record) -> ModelPointer:
    """Parse a record of ``models``.

    Raises:
        BadRecord: it names the invalid field and its value.
    """
    fields = Fields(open_record(record)[0])
    return ModelPointer(
        generation=fields.integer("generation", low=0, high=MAX_GENERATION),
        location=_location(fields),
        sha256=fields.hexadecimal("sha256", 1, 32),
        watermarks=_offsets(fields, "watermarks"),
        trained_at=fields.integer("trained_at", low=0, high=latest_ms(own_time(record))),
        metrics=_metrics(fields),
        rolled_back_from=_generation(fields, "rolled_back_from"),
        rolled_back_to=_generation(fields, "rolled_back_to"),
        counted_from=_offsets(fields, "counted_from"),
    )


def _generation(fields: Fields, name: str) -> int | None:
    return fields.integer(name, low=0, high=MAX_GENERATION) if name in fields else None


def _location(fields: Fields) -> str:
    """Return a path, or a URL with one scheme: ``s3:`` and ``simplecache::file:///x`` are neither."""
    location = fields.text("location")
    is_plain = "://" in location or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location)
    if len(location) > MAX_LOCATION or "::" in location or not is_plain or not _LOCATION.fullmatch(location):
        raise BadRecord("location", f"expected a path or scheme://path, got {short_repr(location)}")
    return location


def _metrics(fields: Fields) -> Mapping[str, object]:
    """Return the figures of a model unchanged; each number among them fits in a float."""
    found = fields.mapping("metrics")
    for name, figure in found.items():
        if isinstance(figure, int | float) and not abs(figure) <= MAX_RATING:
            raise BadRecord(
                "metrics", f"expected finite numbers, got one under {short_repr(name)} that is not"
            )
    return found


def _offsets(fields: Fields, field: str) -> Mapping[str, int]:
    """Return offsets by the number of the partition as text; empty if the field is absent."""
    found = fields.mapping(field)
    offsets = Fields(found, f"{field}.")
    for name in found:
        if not _PARTITION.fullmatch(name):
            fault = f"expected partitions from 0 to {MAX_PARTITIONS - 1}, got {short_repr(name)}"
            raise BadRecord(field, fault)
    return {name: offsets.integer(name, low=0, high=MAX_OFFSET) for name in found}


def encode_model_pointer(pointer: ModelPointer) -> bytes:
    """Return a model pointer as JSON."""
    return msgspec.json.encode(pointer)
