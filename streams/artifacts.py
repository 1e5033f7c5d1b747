"""Artifacts in the store: a folder, or object storage through fsspec, addressed by a path or a URL.

The checksum in a pointer is that of the manifest, which holds those of the files: so it stands for all.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from dch.artifact import MANIFEST, load_model, manifest_sha256
from dch.errors import ArtifactError
from dch.models.model import Model


def location_of(artifacts: str, generation: int) -> str:
    """Return where a generation lies; a local path is made absolute, for readers that started elsewhere."""
    system, path = fsspec.core.url_to_fs(artifacts)
    name = f"{path.rstrip('/')}/gen-{generation}"
    return name if _is_local(system) else str(system.unstrip_protocol(name))


def upload(folder: Path, location: str) -> str:
    """Copy an artifact into the store and return its checksum; what lay there before is replaced.

    Raises:
        ArtifactError: the store cannot be written.
    """
    system, path = fsspec.core.url_to_fs(location)
    try:
        if system.exists(path):
            system.rm(path, recursive=True)
        system.makedirs(path, exist_ok=True)
        # The manifest last: a folder without one is no artifact, so that nobody reads half of it.
        for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST):
            system.put_file(str(file), f"{path}/{file.name}")
    except OSError as error:
        raise ArtifactError(
            f"{location} cannot be written ({error}); is --artifacts right, and may we write there?"
        ) from error
    return manifest_sha256(folder)


@contextmanager
def local_copy(location: str, sha256: str) -> Iterator[Path]:
    """Yield a local folder that holds the artifact, its manifest checked.

    Raises:
        ArtifactError: it cannot be read, or it is not the one that the checksum names.
    """
    system, path = fsspec.core.url_to_fs(location)
    draft = None if _is_local(system) else Path(tempfile.mkdtemp(prefix="dch-artifact-"))
    try:
        folder = Path(path) if draft is None else _download(system, path, draft, location)
        _check(folder, sha256, location)
        yield folder
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def load(location: str, sha256: str) -> Model:
    """Read a model from the store.

    Raises:
        ArtifactError: it is missing, corrupt, truncated, not ours, or not the one that the checksum names.
    """
    with local_copy(location, sha256) as folder:
        return load_model(folder)


def _is_local(system: fsspec.AbstractFileSystem) -> bool:
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _download(system: fsspec.AbstractFileSystem, path: str, folder: Path, location: str) -> Path:
    try:
        for name in system.ls(path, detail=False):
            system.get_file(name, str(folder / name.rsplit("/", 1)[-1]))
    except OSError as error:
        raise ArtifactError(
            f"{location} cannot be read ({error}); is it there, and may we read it?"
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
            f"{location} has a manifest with SHA-256 {found}, the pointer says {sha256}; fit and publish anew"
        )
