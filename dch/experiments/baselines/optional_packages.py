"""Errors and settings for packages that only baselines need, all of the extra ``fit``."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from dch.errors import MissingExtraError


@contextmanager
def needed_by(what: str, package: str) -> Iterator[None]:
    """Turn a failed import in this block into an error that says what to install.

    Args:
        what: the method that needs the package, as the subject of the message.
        package: the package to import.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != package:
            raise  # the package is installed and lacks something itself
        raise MissingExtraError(
            f"{what} needs {package}, which is not installed; run: pip install -c constraints.txt '.[fit]'"
        ) from missing


def one_blas_thread() -> AbstractContextManager[object]:
    """Limit BLAS to one thread in this block; implicit runs its own threads and warns about BLAS threads.

    Raises:
        MissingExtraError: threadpoolctl is not installed.
    """
    with needed_by("a fit with implicit", "threadpoolctl"):
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
