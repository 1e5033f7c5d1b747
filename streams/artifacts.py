"""Publish models to the artifact store, and load them from it.

The store is a folder, or object storage through fsspec. A pointer on the topic ``models`` names the location
of an artifact and the checksum of its manifest. The manifest holds the checksums of all other files.
"""

import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import compress
from pathlib import Path, PurePath

import fsspec

from dch.artifact import MANIFEST, MODEL, generation_hash, load_model, manifest_sha256
from dch.errors import ArtifactError, ConfigError, MissingExtraError
from dch.folders import write_folder
from dch.models.model import Model
from streams import topics
from streams.kafka import Patience, Producer
from streams.kafka.records import Output
from streams.messages import ModelPointer, encode_model_pointer, model_key
from streams.settings import RoleSettings

FOLDER_PREFIX = "gen-"
"""How the names of the folders of artifacts begin."""


class StoreError(ArtifactError):
    """The store cannot be read or written, or an artifact is missing there: a later attempt may succeed."""


def publish_model(
    settings: RoleSettings, folder: Path, watermarks: Mapping[int, int], patience: Patience | None = None
) -> ModelPointer:
    """Upload an artifact, then publish its pointer: a reader of the pointer always finds the files.

    Args:
        settings: settings that give the store, the brokers and the name of the topic.
        folder: the local folder of the artifact.
        watermarks: the first offset of ``ratings`` that the fit did not see, by partition.
        patience: how long to wait for a broker that is away; None is ``broker_patience_s``.

    Raises:
        ArtifactError: the folder cannot be read, or the store cannot be written.
        DeliveryError: the pointer was not acknowledged.
    """
    pointer = upload_model(settings.artifacts, folder, watermarks)
    publish_pointer(settings, pointer, patience)
    return pointer


def upload_model(artifacts: str, folder: Path, watermarks: Mapping[int, int]) -> ModelPointer:
    """Upload an artifact and return the pointer to it; see ``publish_model``."""
    model, sha256 = load_model(folder), manifest_sha256(folder)
    location = location_of(artifacts, model.generation, sha256)
    upload(folder, location)
    return ModelPointer(
        generation=model.generation,
        location=location,
        sha256=sha256,
        watermarks={str(partition): offset for partition, offset in watermarks.items()},
        trained_at=time.time_ns() // 1_000_000,
        metrics=dict(model.metrics),
    )


def publish_pointer(settings: RoleSettings, pointer: ModelPointer, patience: Patience | None = None) -> None:
    """Send a pointer to the topic ``models`` and wait for its acknowledgement.

    Raises:
        DeliveryError: it was not acknowledged.
    """
    producer = Producer(settings, patience=patience)
    producer.send(pointer_output(settings, pointer))
    producer.flush()


def pointer_output(settings: RoleSettings, pointer: ModelPointer) -> Output:
    """Return the record of ``models`` that announces a model."""
    topic = settings.topic(topics.MODELS.name)
    return Output(topic, model_key(pointer.generation), encode_model_pointer(pointer))


def location_of(artifacts: str, generation: int, sha256: str) -> str:
    """Return the location of an artifact: ``gen-000007-0123456789ab``, by its generation and its content.

    It is absolute, because readers may have another working directory. Two models of one generation have
    different locations, so neither overwrites the other.
    """
    return f"{root_of(artifacts)}/{FOLDER_PREFIX}{generation:06d}-{generation_hash(sha256)}"


def root_of(artifacts: str) -> str:
    """Return the location of the store itself, absolute.

    Raises:
        MissingExtraError: the package for this kind of store is not installed.
    """
    system, path = open_store(artifacts)
    path = path.rstrip("/")
    return path if _is_local(system) else str(system.unstrip_protocol(path))


def open_store(location: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of a location and the path in it, without a connection.

    Raises:
        MissingExtraError: the package for this kind of store is not installed.
        ConfigError: there is no such kind of store.
    """
    try:
        system, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        extra = " (for s3: the extra s3 of dch-streams)"
        raise MissingExtraError(
            f"{location} needs a package that is not installed{extra}: {error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{location} cannot be opened: {error}; check --artifacts") from error
    return system, path


def require_folder(artifacts: str) -> None:
    """Require that a store is no file. A folder that is missing may be created, or mounted, later.

    Raises:
        MissingExtraError: the package for this kind of store is not installed.
        ConfigError: there is no such kind of store, or it is a file.
    """
    system, path = open_store(artifacts)
    parts = (Path(path), *Path(path).parents) if _is_local(system) else ()
    if file := next((one for one in parts if one.is_file()), None):
        raise ConfigError(f"{file} is a file and no folder; set --artifacts to the folder of the store")


def check_store(artifacts: str) -> None:
    """Write, read and delete a small file in the store: a fit whose model cannot be stored would be lost.

    Raises:
        MissingExtraError: the package for this kind of store is not installed.
        StoreError: one of the three failed; the message names the store.
    """
    try:
        system, path = open_store(artifacts)
        probe, content = f"{path.rstrip('/')}/.dch-check-{uuid.uuid4().hex}", b"dch"
        _make_folder(system, path)
        found = _written_and_read(system, probe, content)
    except (MissingExtraError, ConfigError):
        raise
    except Exception as error:
        raise StoreError(
            f"the store {artifacts} cannot be used ({type(error).__name__}: {error}); check --artifacts, "
            "and the rights to write, read and delete there"
        ) from error
    if found != content:
        raise StoreError(f"the store {artifacts} returned {found!r} for a file that holds {content!r}")


def _written_and_read(system: fsspec.AbstractFileSystem, probe: str, content: bytes) -> bytes:
    """Write a file, return what is read of it, and delete it; a full disk leaves an empty one otherwise."""
    try:
        system.pipe_file(probe, content)
        found = bytes(system.cat_file(probe))
    except BaseException:
        with suppress(Exception):
            system.rm_file(probe)
        raise
    system.rm_file(probe)
    return found


def upload(folder: Path, location: str) -> None:
    """Copy an artifact into the store; what fails halfway is removed.

    Raises:
        StoreError: the store cannot be written; the message names the location.
    """
    try:
        system, path = open_store(location)
        # The manifest comes last: without it, a reader does not take an incomplete folder for an artifact.
        files = sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST)
        contents = {file.name: file.read_bytes() for file in files}
        write = write_folder if _is_local(system) else partial(_put_files, system)
        write(Path(path), contents)
    except Exception as error:
        raise StoreError(
            f"{location} cannot be written ({error}); check --artifacts and the permissions there"
        ) from error


def _put_files(system: fsspec.AbstractFileSystem, folder: PurePath, files: Mapping[str, bytes]) -> None:
    """Write the files of an artifact to a store that is no folder, where each file appears at once."""
    path = str(folder)
    is_new = not system.exists(path)
    try:
        _make_folder(system, path)
        for name, content in files.items():
            system.pipe_file(f"{path}/{name}", content)
    except BaseException:
        if is_new:
            with suppress(Exception):
                system.rm(path, recursive=True)
        raise


def _make_folder(system: fsspec.AbstractFileSystem, path: str) -> None:
    """Create a folder if the store has folders; where that fails, the first file written tells why."""
    with suppress(Exception):  # an object store may refuse to look for the bucket, and let us write to it
        system.makedirs(path, exist_ok=True)


def location_within(artifacts: str, pointer: ModelPointer) -> str:
    """Return where to load the artifact of a pointer from: always inside the store that --artifacts names.

    Nothing is opened. A path outside a store that is a folder may be the same folder, mounted at another
    path where the trainer runs. So the location of that artifact in our own store is returned; the checksum
    shows whether it is the same artifact.

    Raises:
        StoreError: the store cannot be opened.
        ArtifactError: the location is outside.
    """
    try:
        own = location_of(artifacts, pointer.generation, pointer.sha256)
    except Exception as error:
        raise StoreError(f"{artifacts} cannot be opened ({type(error).__name__}: {error})") from error
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
    """Yield a local folder with the artifact, after checking the manifest against its checksum."""
    system, path = open_store(location)
    if _is_local(system):
        _check((Path(path) / MANIFEST).read_bytes(), sha256, location)
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="dch-artifact-") as folder:
        system.invalidate_cache()  # it may remember that the files were missing
        for name in (MANIFEST, MODEL):
            content = system.cat_file(f"{path}/{name}")
            if name == MANIFEST:
                _check(content, sha256, location)
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def load(location: str, sha256: str) -> Model:
    """Load a model from the store.

    Raises:
        StoreError: the store fails or the artifact is missing, so a later attempt may succeed.
        ArtifactError: the artifact is corrupt or of another format, or has another checksum.
    """
    try:
        with _local_copy(location, sha256) as folder:
            return load_model(folder)
    except Exception as error:
        is_content = isinstance(error, ArtifactError) and not isinstance(error.__cause__, OSError)
        if is_content or isinstance(error, MissingExtraError):
            raise
        raise StoreError(f"{location} cannot be read ({type(error).__name__}: {error})") from error


def load_announced(artifacts: str, pointer: ModelPointer) -> Model:
    """Load the model of a pointer from the store; every role takes or refuses a model by this.

    Raises:
        StoreError: as for ``load``.
        ArtifactError: as for ``load``, or the artifact is outside the store, or of another generation.
    """
    model = load(location_within(artifacts, pointer), pointer.sha256)
    if model.generation != pointer.generation:
        raise ArtifactError(f"{pointer.location} holds generation {model.generation}")
    return model


def is_loadable(artifacts: str, pointer: ModelPointer) -> bool:
    """Tell whether roles can load the model of a pointer. It is loaded: nothing less shows that.

    Raises:
        StoreError: the store cannot be read; an artifact without all its files is only not loadable.
    """
    try:
        load_announced(artifacts, pointer)
    except StoreError as error:
        if not _is_absence(error):
            raise
        return False
    except ArtifactError:
        return False
    return True


def _is_absence(error: BaseException | None) -> bool:
    """Tell whether an error comes from a missing file."""
    return error is not None and (
        isinstance(error, FileNotFoundError | NotADirectoryError) or _is_absence(error.__cause__)
    )


def exists(location: str) -> bool:
    """Tell whether an artifact is in the store, by its manifest.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        system, path = open_store(location)
        system.invalidate_cache()
        return bool(system.exists(f"{path}/{MANIFEST}"))
    except (MissingExtraError, ConfigError):
        raise
    except Exception as error:
        raise StoreError(f"{location} cannot be read ({type(error).__name__}: {error})") from error


def are_missing(artifacts: str, pointers: Sequence[ModelPointer]) -> list[bool]:
    """Return which artifacts a store does not hold that holds others.

    A store without any other artifact may be the wrong one, or a folder on which nothing is mounted: nothing
    is said to be missing there. Nor is an artifact outside of the store.

    Raises:
        StoreError: the store cannot be read.
    """
    names = _names(artifacts)
    folders = [folder_within(artifacts, pointer) for pointer in pointers]
    missing = [
        folder is not None and not (folder in names and exists(location_within(artifacts, pointer)))
        for folder, pointer in zip(folders, pointers, strict=True)
    ]
    others = names - set(compress(folders, missing))
    return missing if any(name.startswith(FOLDER_PREFIX) for name in others) else [False] * len(missing)


def newest_held(artifacts: str, pointers: Sequence[ModelPointer]) -> ModelPointer | None:
    """Return the last of these pointers whose model can be loaded from the store.

    Raises:
        StoreError: the store cannot be read.
    """
    names = _names(artifacts)
    for pointer in reversed(pointers):
        if folder_within(artifacts, pointer) in names and is_loadable(artifacts, pointer):
            return pointer
    return None


def _names(artifacts: str) -> set[str]:
    """Return the names of the folders and files in a store."""
    try:
        system, path = open_store(artifacts)
        system.invalidate_cache()
        return {name.rstrip("/").rpartition("/")[2] for name in system.ls(path, detail=False)}
    except (MissingExtraError, ConfigError):
        raise
    except Exception as error:
        raise StoreError(f"{artifacts} cannot be read ({type(error).__name__}: {error})") from error


def folder_within(artifacts: str, pointer: ModelPointer) -> str | None:
    """Return the folder of the store in which an artifact is; None if it is outside. Nothing is opened.

    Raises:
        StoreError: the store cannot be opened.
    """
    try:
        location = location_within(artifacts, pointer)
    except StoreError:
        raise
    except ArtifactError:
        return None
    return location.removeprefix(root_of(artifacts) + "/").partition("/")[0]


def _is_local(system: fsspec.AbstractFileSystem) -> bool:
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _check(manifest: bytes, sha256: str, location: str) -> None:
    found = hashlib.sha256(manifest).hexdigest()
    if found != sha256.lower():
        raise ArtifactError(
            f"the manifest at {location} has SHA-256 {found}, the pointer has {sha256}; fit and publish again"
        )
