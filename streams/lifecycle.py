"""End processes in order: a role on a signal, a child process together with its parent."""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _signal_on_parent_death() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


end_with_parent: Callable[[], None] | None = _signal_on_parent_death if sys.platform == "linux" else None
"""A ``preexec_fn``: the child receives SIGTERM when its parent ends, even by a kill. None outside Linux."""


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT or SIGTERM sets; a second signal ends the process at once.

    Call it once, from the main thread, before the role starts.
    """
    stop = threading.Event()

    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_DFL)

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, set_stop)
    return stop


def end_now() -> NoReturn:
    """End this process with exit code 0, without freeing its objects one by one.

    A worker holds millions of them, and to free them would take seconds after its last commit. Call it last:
    whatever must be closed or flushed, is by then.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
