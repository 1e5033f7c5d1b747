"""Publish models to the artifact store, and load them from it.

The store is a folder, or object storage through fsspec. A pointer on the topic ``models`` names the location
of an artifact and the checksum of its manifest. The manifest holds the checksums of all other files.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fsspec

from dch.artifact import MANIFEST, load_model, manifest_sha256
from dch.errors import ArtifactError
from dch.models.model import Model
from streams import topics
from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import MODEL_KEY, ModelPointer, encode_model_pointer
from streams.settings import RoleSettings


def publish_model(settings: RoleSettings, folder: Path, watermarks: Mapping[int, int]) -> ModelPointer:
    """Upload an artifact, then publish its pointer: a reader of the pointer always finds the files.

    Args:
        settings: settings that give the store, the brokers and the name of the topic.
        folder: the local folder of the artifact.
        watermarks: the first offset of ``ratings`` that the fit did not see, by partition.

    Raises:
        ArtifactError: the folder cannot be read, or the store cannot be written.
        DeliveryError: the pointer was not acknowledged.
    """
    pointer = upload_model(settings.artifacts, folder, watermarks)
    publish_pointer(settings, pointer)
    return pointer


def upload_model(artifacts: str, folder: Path, watermarks: Mapping[int, int]) -> ModelPointer:
    """Upload an artifact and return the pointer to it; see ``publish_model``."""
    model = load_model(folder)
    location = location_of(artifacts, model.generation)
    return ModelPointer(
        generation=model.generation,
        location=location,
        sha256=upload(folder, location),
        watermarks={str(partition): offset for partition, offset in watermarks.items()},
        trained_at=time.time_ns() // 1_000_000,
        metrics=dict(model.metrics),
    )


def publish_pointer(settings: RoleSettings, pointer: ModelPointer) -> None:
    """Send a pointer to the topic ``models`` and wait for its acknowledgement.

    Raises:
        DeliveryError: it was not acknowledged.
    """
    producer = Producer(settings)
    producer.send(Output(settings.topic(topics.MODELS.name), MODEL_KEY, encode_model_pointer(pointer)))
    producer.flush()


def location_of(artifacts: str, generation: int) -> str:
    """Return the location of a generation; absolute, because readers may have another working directory."""
    system, path = fsspec.core.url_to_fs(artifacts)
    name = f"{path.rstrip('/')}/gen-{generation}"
    return name if _is_local(system) else str(system.unstrip_protocol(name))


def upload(folder: Path, location: str) -> str:
    """Copy an artifact into the store, replace a previous one, and return the checksum of its manifest.

    Raises:
        ArtifactError: the store cannot be written.
    """
    system, path = fsspec.core.url_to_fs(location)
    try:
        if system.exists(path):
            system.rm(path, recursive=True)
        system.makedirs(path, exist_ok=True)
        # The manifest comes last: without it, a reader does not take an incomplete folder for an artifact.
        for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST):
            system.put_file(str(file), f"{path}/{file.name}")
    except OSError as error:
        raise ArtifactError(
            f"{location} cannot be written ({error}); check --artifacts and the permissions there"
        ) from error
    return manifest_sha256(folder)


def location_within(artifacts: str, pointer: ModelPointer) -> str:
    """Return where to load the artifact of a pointer from: always inside the store that --artifacts names.

    Nothing is opened. A path outside a store that is a folder may be the same folder, mounted at another
    path where the trainer runs. So the folder of the generation in our own store is returned; the checksum
    shows whether it is the same artifact.

    Raises:
        ArtifactError: the location is outside, or the store cannot be opened.
    """
    try:
        own = location_of(artifacts, pointer.generation)
    except Exception as error:
        raise ArtifactError(f"{artifacts} cannot be opened ({type(error).__name__}: {error})") from error
    root = own.rpartition("/")[0]
    location = pointer.location if _is_url(root) else _path_of(pointer.location)
    inside = location.removeprefix(root + "/")
    if inside != location and not {"", ".", ".."} & set(inside.split("/")):
        return location
    if _is_url(root) or _is_url(location):
        raise ArtifactError(
            f"{location} is outside {artifacts}; set --artifacts to the same store in every role"
        )
    return own


def _is_url(location: str) -> bool:
    return "://" in location


def _path_of(location: str) -> str:
    """Return a local location as an absolute path; a URL of another kind stays as it is."""
    path = location.removeprefix("file://")
    return path if _is_url(path) else os.path.normpath(Path(path).absolute())


@contextmanager
def _local_copy(location: str, sha256: str) -> Iterator[Path]:
    """Yield a local folder with the artifact, after checking the manifest against its checksum.

    Raises:
        ArtifactError: the artifact cannot be read, or its manifest has another checksum.
    """
    system, path = fsspec.core.url_to_fs(location)
    download = None if _is_local(system) else Path(tempfile.mkdtemp(prefix="dch-artifact-"))
    try:
        folder = Path(path) if download is None else _download(system, path, download, location)
        _check(folder, sha256, location)
        yield folder
    finally:
        if download is not None:
            shutil.rmtree(download, ignore_errors=True)


def load(location: str, sha256: str) -> Model:
    """Load a model from the store.

    Raises:
        ArtifactError: the artifact is missing, corrupt or of another format, or has another checksum; or the
            store fails, in whatever way: each kind of store has errors of its own.
    """
    try:
        with _local_copy(location, sha256) as folder:
            return load_model(folder)
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(f"{location} cannot be read ({type(error).__name__}: {error})") from error


def _is_local(system: fsspec.AbstractFileSystem) -> bool:
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _download(system: fsspec.AbstractFileSystem, path: str, folder: Path, location: str) -> Path:
    try:
        for name in system.ls(path, detail=False):
            system.get_file(name, str(folder / name.rsplit("/", 1)[-1]))
    except OSError as error:
        raise ArtifactError(
            f"{location} cannot be read ({error}); check that it exists, and the permissions there"
        ) from error
    return folder


def _check(folder: Path, sha256: str, location: str) -> None:
    try:
        found = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise ArtifactError(
            f"no artifact at {location}: {MANIFEST} cannot be read ({error.strerror})"
        ) from error
    if found != sha256.lower():
        raise ArtifactError(
            f"the manifest at {location} has SHA-256 {found}, the pointer has {sha256}; fit and publish again"
        )
