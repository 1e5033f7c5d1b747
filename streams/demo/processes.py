"""Start the processes of the demo as a user would, and end all of them in order."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from streams.errors import StreamError
from streams.lifecycle import end_with_parent

STOP_S = 25.0
"""Seconds that a process may take to end before it is killed; the broker may write its state for 20 s."""

LOG_LINES = 12


class DemoError(StreamError):
    """A process of the demo failed, or was too slow."""


@dataclass
class Child:
    """One child process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Require that the process still runs.

        Raises:
            DemoError: the process has ended; the message holds the end of its log.
        """
        if self.process.poll() is not None:
            raise DemoError(
                f"{self.name} ended with exit code {self.process.returncode}; the end of its log:\n"
                + self.log_tail()
            )

    def log_tail(self) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])


class Processes:
    """Context that starts processes, and ends them in reverse order on exit."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.children: list[Child] = []

    def start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> Child:
        """Start ``dch <arguments>``; its output goes to the log file ``<name>.log``."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends the roles in order
                preexec_fn=end_with_parent,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def require_alive(self) -> None:
        """Require that every process still runs; see ``Child.require_alive``."""
        for child in self.children:
            child.require_alive()

    def wait_ready(self, child: Child, url: str, within_s: float = 120.0) -> None:
        """Wait until ``/readyz`` of a role reports that it is ready.

        Raises:
            DemoError: the process ended, or was not ready in time.
        """
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            child.require_alive()
            with suppress(URLError, HTTPException, OSError), urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise DemoError(
            f"{child.name} was not ready within {within_s:g} s; the end of its log:\n{child.log_tail()}"
        )

    def stop(self) -> None:
        """End every process, in reverse order of their start."""
        while self.children:
            child = self.children.pop()
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
                try:
                    child.process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
