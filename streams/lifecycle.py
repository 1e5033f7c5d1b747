"""How a process ends: a role when it is asked to, a child process together with its parent."""

import ctypes
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _ask_linux() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


end_with_parent: Callable[[], None] | None = _ask_linux if sys.platform == "linux" else None
"""For ``preexec_fn``: SIGTERM to the child when its parent is gone, killed ones too. Linux alone can."""


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT or SIGTERM sets; a second one ends the process as it would without us.

    Call it from the main thread, once, before the role starts.
    """
    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        stop.set()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_DFL)

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, asked)
    return stop
