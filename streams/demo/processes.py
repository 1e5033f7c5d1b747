"""The processes of the demo: each role as its user would start it, ended in order, none left behind."""

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

STOP_S = 25.0  # a role leaves within seconds, and the broker may write for 20; what does not is killed
LOG_LINES = 12


class DemoError(StreamError):
    """A process of the demo did not do its part."""


@dataclass
class Child:
    """One running role."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raise when the process has ended.

        Raises:
            DemoError: with the end of its log.
        """
        if self.process.poll() is not None:
            raise DemoError(
                f"{self.name} ended with exit code {self.process.returncode}; the end of its log:\n"
                + self.said()
            )

    def said(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])


class Processes:
    """Starts roles, and ends them in reverse order when left."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.children: list[Child] = []

    def start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> Child:
        """Start ``dch <arguments>``, its output in a file of its name."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is ours: roles are ended in order, not all at once
                preexec_fn=end_with_parent,
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def require_alive(self) -> None:
        """Raise when any process has ended; see ``Child.require_alive``."""
        for child in self.children:
            child.require_alive()

    def wait_ready(self, child: Child, url: str, within_s: float = 120.0) -> None:
        """Wait until a role says at ``/readyz`` that it is ready.

        Raises:
            DemoError: it ended, or was not ready in time.
        """
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            child.require_alive()
            with suppress(URLError, HTTPException, OSError), urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise DemoError(
            f"{child.name} was not ready within {within_s:g} s; the end of its log:\n{child.said()}"
        )

    def stop(self) -> None:
        """End every process, the last started first."""
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
