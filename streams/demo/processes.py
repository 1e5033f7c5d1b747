"""Start the processes of the demo as a user would, and end all of them in order."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from streams.errors import StreamError
from streams.lifecycle import end_with_parent

STOP_S = 25.0
"""Seconds that a process may take to end before it is killed; the broker may write its state for 20 s."""

PATIENCE_S = 1800.0
"""Seconds without any change after which the demo gives up, although all processes run. State decides when a
step is done; this only ends a demo that hangs. A busy machine takes longer and changes all the same."""

POLL_S = 0.1
LOG_LINES = 12
READY = "ready"
ROLE_STARTED = r" started .*metrics_port=(\d+)"
Seen = TypeVar("Seen")


class DemoError(StreamError):
    """A process of the demo failed, or nothing changed any more."""


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

    def find(self, pattern: str) -> str:
        """Return what the group of a pattern matches in the log; empty if the log does not match yet."""
        found = re.search(pattern, self.log.read_text(errors="replace"))
        return found[1] if found else ""

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

    def wait_for(
        self,
        what: str,
        look: Callable[[], Seen],
        is_done: Callable[[Seen], object],
        *,
        describe: Callable[[Seen], str] = str,
        poll_s: float = POLL_S,
        patience_s: float | None = None,
    ) -> Seen:
        """Look again and again until what is seen is as wanted; return it.

        Args:
            what: what is waited for, for the error.
            look: returns what is seen now.
            is_done: whether that is as wanted.
            describe: returns what is seen in words; other words are a change.
            poll_s: seconds between two looks.
            patience_s: how long to wait without a change; None is ``PATIENCE_S``.

        Raises:
            DemoError: a process has ended, or nothing changed for too long; the message holds what was seen
                last and the ends of the logs.
        """
        patience_s = PATIENCE_S if patience_s is None else patience_s
        seen, changed_at = "", time.monotonic()
        while not is_done(found := look()):
            self.require_alive()
            now = time.monotonic()
            if describe(found) != seen:
                seen, changed_at = describe(found), now
            if now - changed_at > patience_s:
                raise DemoError(
                    f"the demo waited for {what}, and nothing changed for {patience_s:g} s; seen last: "
                    f"{seen or 'nothing'}; the ends of the logs:\n{self._log_tails()}"
                )
            time.sleep(poll_s)
        return found

    def wait_ready(self, child: Child) -> str:
        """Wait until ``/readyz`` of a role says that it is ready; return the URL of its metrics server.

        Raises:
            DemoError: a process has ended, or nothing changes any more.
        """
        what = f"the {child.name} to be ready"
        port = self.wait_for(f"{what} (its log names no port yet)", lambda: child.find(ROLE_STARTED), bool)
        url = f"http://127.0.0.1:{port}"
        self.wait_for(what, lambda: _readiness(url), lambda answer: answer == READY)
        return url

    def _log_tails(self) -> str:
        return "\n".join(f"{child.name}:\n{child.log_tail()}" for child in self.children)

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


def _readiness(url: str) -> str:
    """Return what ``/readyz`` answers, or that it does not."""
    try:
        with urlopen(f"{url}/readyz", timeout=5) as answer:
            return str(answer.read().decode().strip())
    except HTTPError as error:
        with error, suppress(OSError):
            return error.read().decode().strip()
    except (URLError, HTTPException, OSError):
        pass
    return "no answer"
