"""Libraries that only the comparisons need: imported when first used, with a clear word if missing."""

from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from dch.errors import MissingExtraError


def need(module: str, what: str) -> Any:  # noqa: ANN401 - a module without types
    """Return a module of the extra ``fit``.

    Args:
        module: name to import, such as ``implicit.cpu.als``.
        what: what asks for it, as the subject of the message.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as missing:
        name = module.split(".")[0]
        raise MissingExtraError(
            f"{what} needs {name}, which is not installed; run: pip install 'dch-streams[fit]'"
        ) from missing


def one_blas_thread() -> AbstractContextManager[object]:
    """Hold the BLAS to one thread for a while: implicit has threads of its own and warns about others.

    Raises:
        MissingExtraError: threadpoolctl is not installed.
    """
    limits: AbstractContextManager[object] = need("threadpoolctl", "a fit with implicit").threadpool_limits(
        limits=1, user_api="blas"
    )
    return limits
