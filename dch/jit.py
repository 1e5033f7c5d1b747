"""Compile a kernel: one place that says how numba is used.

Every kernel releases the interpreter lock, is cached beside its source, and keeps strict floating-point
order, so that the same input gives the same bits in any batch, in any process, on any run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays at its first call; later processes load the compiled code."""
    return cast(Kernel, numba.njit(cache=True, nogil=True)(function))


def drop_stale(package: Path = PACKAGE) -> None:
    """Delete compiled kernels when any source of the package has changed since they were made.

    numba looks at a kernel's own file alone; a kernel that calls one in another file would keep running the
    old code of it after an update (numba issue 1833).
    """
    stamp = package / "__pycache__" / "kernels.stamp"
    sources = sorted(package.rglob("*.py"))
    state = "\n".join(f"{path.name} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in sources)
    try:
        if stamp.exists() and stamp.read_text() == state:
            return
        for compiled in [*package.rglob("__pycache__/*.nbi"), *package.rglob("__pycache__/*.nbc")]:
            compiled.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(state)
    except OSError:
        return  # a read-only installation: its files do not change, and numba keeps its cache elsewhere


drop_stale()
