"""The only place that says how numba is used.

Every kernel releases the interpreter lock and keeps strict floating-point order, so that the same input gives
the same bits in any batch, in any process, on any run.

Compiled kernels are cached in a folder named after all sources of the package. numba itself checks only the
file of a kernel: a kernel that uses a kernel or a constant of another file would keep its old code after an
update (numba issue 1833). A changed source means another folder, so stale code is never loaded.

numba names the machine code of a function by its qualified name, the types of its arguments, and a number
that each process counts from 1. Its ``sort`` and ``argsort`` share a qualified name, so two processes that
happen to count alike give both one name. Who loads both from the cache runs the first for either, and crashes
(numba issue 10486). So the numbers are drawn here.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.bytecode import FunctionIdentity

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent

_NUMBA: Any = numba.config
"""numba creates its settings at run time, so no type names them."""

log = logging.getLogger(__name__)


class _DrawnNumbers:
    """An endless iterator of numbers of 63 bits that no other process draws, not even a forked one."""

    def __next__(self) -> int:
        return int.from_bytes(os.urandom(8), "big") >> 1


_IDENTITY: Any = FunctionIdentity
_IDENTITY._unique_ids = _DrawnNumbers()


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays at its first call; later processes load the compiled code."""
    with _cache_folder(_FOLDER):
        return cast(Kernel, numba.njit(cache=_FOLDER is not None, nogil=True)(function))


def inlined(function: Kernel) -> Kernel:
    """Make a function a part of each kernel that calls it, where a call for each row would take longer.

    A call takes two locked instructions for each of its arrays. The body costs time to compile at each call.
    """
    return cast(Kernel, numba.njit(nogil=True, inline="always")(function))


def folder_for(package: Path, bases: list[Path]) -> Path | None:
    """Return the folder for the compiled kernels of a package in its present state.

    Args:
        package: the folder of the sources.
        bases: folders to try, the preferred one first.

    Returns:
        A folder below the first base that can be written to; None if there is none.
    """
    digest = sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    for base in bases:
        folder = base / f"kernels-{digest.hexdigest()[:12]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def _bases() -> list[Path]:
    """Return where the user wants compiled code, or else: beside the sources, or in the user's cache."""
    if _NUMBA.CACHE_DIR:
        return [Path(_NUMBA.CACHE_DIR)]
    bases = [PACKAGE / "__pycache__"]
    with suppress(RuntimeError):  # a user without a home folder
        bases.append(Path.home() / ".cache" / "dch")
    return bases


@contextmanager
def _cache_folder(folder: Path | None) -> Iterator[None]:
    before = _NUMBA.CACHE_DIR
    _NUMBA.CACHE_DIR = str(folder or before)
    try:
        yield
    finally:
        _NUMBA.CACHE_DIR = before


_FOLDER = folder_for(PACKAGE, _bases())
if _FOLDER is None:
    log.warning("no folder for compiled kernels can be written to, so each start compiles them again")
