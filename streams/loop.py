"""The order that loses nothing: read, act, write, flush, commit. And how a role ends when it is asked to."""

import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Protocol

from streams.errors import BadRecord
from streams.records import Output, Record


class Source(Protocol):
    """Where records come from."""

    def poll(self) -> Sequence[Record]:
        """Return the next records; empty when there are none just now."""

    def commit(self) -> None:
        """Never return the records of past polls again, not even to another process."""


class Sink(Protocol):
    """Where records go."""

    def send(self, output: Output) -> None:
        """Queue a record."""

    def flush(self) -> None:
        """Wait until every record sent is safe, or raise."""


def process_batch(
    source: Source,
    sink: Sink,
    act: Callable[[Record], Iterable[Output]],
    dead_letter: Callable[[Record, BadRecord], Output],
) -> int:
    """Process the records at hand and return how many there were.

    Every record is followed by its outputs or by one dead letter, never by silence. Offsets are committed
    last: a crash before that repeats work and loses none (at least once; as outputs are keyed, a repeat
    overwrites).
    """
    records = source.poll()
    for record in records:
        try:
            outputs = list(act(record))
        except BadRecord as reason:
            outputs = [dead_letter(record, reason)]
        for output in outputs:
            sink.send(output)
    if records:
        sink.flush()
        source.commit()
    return len(records)


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
