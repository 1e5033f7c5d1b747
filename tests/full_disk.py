"""A disk without room, for tests."""

import resource
from contextlib import contextmanager


@contextmanager
def no_room_beyond(n_bytes):
    """Let the operating system refuse to let any file grow beyond this size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
