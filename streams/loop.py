"""What roles share: where records go, and how a role ends when it is asked to."""

import signal
import threading
from types import FrameType
from typing import Protocol

from streams.records import Output


class Sink(Protocol):
    """Where records go."""

    def send(self, output: Output) -> None:
        """Queue a record."""

    def flush(self) -> None:
        """Wait until every record sent is safe, or raise."""


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
