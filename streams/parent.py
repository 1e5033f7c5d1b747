"""Child processes that do not outlive us, however we end."""

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _ask_linux() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


end_with_parent: Callable[[], None] | None = _ask_linux if sys.platform == "linux" else None
"""For ``preexec_fn``: SIGTERM to the child when its parent is gone, killed ones too. Linux alone can."""
