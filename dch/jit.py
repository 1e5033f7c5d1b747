"""The only place that configures numba: how kernels are compiled and where compiled code is cached.

Every kernel releases the interpreter lock and keeps strict floating-point order, so the same input gives the
same bits in any batch, in any process, on any run.

Compiled kernels are cached in a folder whose name contains a digest of the sources of all kernels. numba
itself checks only the file of a kernel: after an update it would still run the old code of kernels that this
one calls in other files (numba issue 1833). With the digest, a changed source leads to a new folder.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent

_NUMBA: Any = numba.config
"""Typed as Any because numba creates its settings at run time."""


def kernel(function: Kernel) -> Kernel:
    """Compile a function of arrays at its first call; later processes load the compiled code."""
    with _cache_folder(_FOLDER):
        return cast(Kernel, numba.njit(cache=True, nogil=True)(function))


def folder_for(package: Path, base: str) -> str:
    """Return the folder for the compiled kernels of a package with its current sources.

    Args:
        package: folder of the sources.
        base: ``NUMBA_CACHE_DIR``, where the user wants compiled code; empty: beside the sources.

    Returns:
        The folder; empty, so that numba chooses one, if ``base`` is empty and the sources are read-only.
    """
    if not base and not os.access(package, os.W_OK):
        return ""
    sources = (path.read_bytes() for path in sorted(package.rglob("*.py")))
    digest = sha256(b"\0".join(source for source in sources if b"@kernel" in source)).hexdigest()[:12]
    return str(Path(base or package / "__pycache__") / f"kernels-{digest}")


@contextmanager
def _cache_folder(folder: str) -> Iterator[None]:
    before = _NUMBA.CACHE_DIR
    _NUMBA.CACHE_DIR = folder or before
    try:
        yield
    finally:
        _NUMBA.CACHE_DIR = before


_FOLDER = folder_for(PACKAGE, _NUMBA.CACHE_DIR)
