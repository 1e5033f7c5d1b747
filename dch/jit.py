"""Compile a kernel: one place that says how numba is used.

Every kernel releases the interpreter lock and keeps strict floating-point order, so that the same input gives
the same bits in any batch, in any process, on any run.

Compiled kernels are cached in a folder named after the sources of all kernels. numba itself looks at the file
of a kernel only: a kernel that calls one in another file would go on with the old code of it after an update
(numba issue 1833). A changed source means another folder, so nothing stale is ever loaded.
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
"""numba makes its settings at run time, so no type names them."""


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays at its first call; later processes load the compiled code."""
    with _cache_folder(_FOLDER):
        return cast(Kernel, numba.njit(cache=True, nogil=True)(function))


def folder_for(package: Path, base: str) -> str:
    """Return the folder for compiled kernels of a package in its present state.

    Args:
        package: folder of the sources.
        base: where the user wants compiled code (``NUMBA_CACHE_DIR``); empty: beside the sources.

    Returns:
        The folder; empty where the sources cannot be written to and ``base`` is empty: numba then chooses.
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
