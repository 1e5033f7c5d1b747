"""Artifacts: the files of one generation, written completely or not at all, and verified when read.

A folder holds ``manifest.json`` (the settings, and the size and SHA-256 of every other file),
``model.safetensors`` (weights and vocabularies) and, if a recommender was saved, ``ratings.safetensors`` (its
history). Nothing is pickled, so reading an artifact runs no code.
"""

import hashlib
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TypeVar

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import save as to_safetensors

from dch.errors import ArtifactError, DchError
from dch.folders import write_folder
from dch.models.model import Model
from dch.state.histories import History
from dch.state.restore import Saved
from dch.tensors import history_tensors, model_of, model_tensors, saved_of, tensors_of

Value = TypeVar("Value")

FORMAT = "dch-artifact"
FORMAT_VERSION = 1
MANIFEST, MODEL, RATINGS = "manifest.json", "model.safetensors", "ratings.safetensors"
HASH_DIGITS = 12

NAMES_ON_DISK: Mapping[str, str] = {
    # settings of a fit
    "sampled_items": "drawn_items",
    "uniformity_weight": "spread_weight",
    # tensors of a history
    "user_forgotten_before": "user_floors",
    "item_forgotten_before": "item_floors",
}
"""Names that differ: from the name in code to the name in files and in JSON."""

_NAMES_IN_CODE = {on_disk: name for name, on_disk in NAMES_ON_DISK.items()}


class FileEntry(msgspec.Struct, frozen=True):
    """Size and checksum of one file."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The content of ``manifest.json``."""

    format: str
    format_version: int
    generation: int
    bits: int
    feature_weight: float
    positive_from: float
    settings: dict[str, object]
    metrics: dict[str, float]
    files: dict[str, FileEntry]


def on_disk(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values under the names that files and JSON use."""
    return {NAMES_ON_DISK.get(name, name): value for name, value in named.items()}


def in_code(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values under the names that code uses; undoes ``on_disk``."""
    return {_NAMES_IN_CODE.get(name, name): value for name, value in named.items()}


def save_model(folder: str | PathLike[str], model: Model) -> None:
    """Write a model to a folder, replacing an artifact that is there.

    Raises:
        ArtifactError: the folder holds other files, or cannot be written; then it stays as it was.
    """
    _write(Path(folder), model, {MODEL: to_safetensors(model_tensors(model))})


def save_recommender(folder: str | PathLike[str], model: Model, history: History) -> None:
    """Write a model and a history to a folder, replacing an artifact that is there.

    Raises:
        ArtifactError: as ``save_model``.
    """
    files = {
        MODEL: to_safetensors(model_tensors(model)),
        RATINGS: to_safetensors(on_disk(history_tensors(history))),
    }
    _write(Path(folder), model, files)


def load_model(folder: str | PathLike[str]) -> Model:
    """Read the model of an artifact.

    Raises:
        ArtifactError: the folder is missing, corrupt, truncated, not an artifact, or in a newer format.
    """
    manifest, sha256 = _manifest(Path(folder))
    return _model(Path(folder), manifest, generation_hash(sha256))


def load_recommender(folder: str | PathLike[str]) -> tuple[Model, Saved | None]:
    """Read a model and its saved history, which is None if only a model was saved.

    Raises:
        ArtifactError: as ``load_model``.
    """
    path = Path(folder)
    manifest, sha256 = _manifest(path)
    model = _model(path, manifest, generation_hash(sha256))
    if RATINGS not in manifest.files:
        return model, None
    content = _checked(path, RATINGS, manifest)
    return model, _decoded(path / RATINGS, lambda: saved_of(in_code(tensors_of(content))))


def manifest_sha256(folder: str | PathLike[str]) -> str:
    """Return the checksum of the whole artifact, which is that of the manifest with its checksums."""
    return hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()


def generation_hash(sha256: str) -> str:
    """Return the first digits of the checksum of an artifact, which tell models of one generation apart."""
    return sha256[:HASH_DIGITS].lower()


def _write(folder: Path, model: Model, files: Mapping[str, bytes]) -> None:
    manifest = Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        generation=model.generation,
        bits=model.bits,
        feature_weight=model.feature_weight,
        positive_from=model.positive_from,
        settings=on_disk(model.settings),
        metrics=dict(model.metrics),
        files={
            name: FileEntry(len(content), hashlib.sha256(content).hexdigest())
            for name, content in files.items()
        },
    )
    if _holds_other_files(folder):
        raise ArtifactError(f"{folder} holds other files; choose an empty or a new folder")
    write_folder(folder, {**files, MANIFEST: msgspec.json.format(msgspec.json.encode(manifest), indent=2)})


def _holds_other_files(folder: Path) -> bool:
    try:
        return folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists()
    except OSError as error:
        raise ArtifactError(
            f"{folder} cannot be written ({error.strerror}); choose another folder"
        ) from error


def _manifest(folder: Path) -> tuple[Manifest, str]:
    """Return the manifest of an artifact and its checksum."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"no artifact at {folder}: {MANIFEST} cannot be read ({error.strerror})"
        ) from error
    head = _decoded(path, lambda: msgspec.json.decode(content))
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ArtifactError(f"{path} is not the manifest of a {FORMAT}; check the folder")
    if head.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format_version {head.get('format_version')!r}, but this program reads "
            f"{FORMAT_VERSION}; use the program that wrote it, or a newer one"
        )
    return _decoded(path, lambda: msgspec.convert(head, Manifest)), hashlib.sha256(content).hexdigest()


def _model(folder: Path, manifest: Manifest, hash_: str) -> Model:
    content = _checked(folder, MODEL, manifest)
    return _decoded(
        folder / MODEL,
        lambda: model_of(
            tensors_of(content),
            generation=manifest.generation,
            feature_weight=manifest.feature_weight,
            positive_from=manifest.positive_from,
            settings=in_code(manifest.settings),
            metrics=manifest.metrics,
            generation_hash=hash_,
        ),
    )


def _checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    path = folder / name
    if name not in manifest.files:
        raise ArtifactError(f"{folder / MANIFEST} does not list {name}; the artifact is incomplete")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read ({error.strerror}); the artifact is incomplete"
        ) from error
    entry = manifest.files[name]
    if len(content) != entry.bytes:
        raise ArtifactError(
            f"{path} has {len(content)} bytes, but the manifest lists {entry.bytes}; copy it again"
        )
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ArtifactError(f"{path} does not match its SHA-256 in the manifest; copy it again")
    return content


def _decoded(path: Path, decode: Callable[[], Value]) -> Value:
    """Run a decoder of the content of a file, and turn its errors into ArtifactError."""
    try:
        return decode()
    except (msgspec.MsgspecError, SafetensorError, DchError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be decoded: {error}") from error
