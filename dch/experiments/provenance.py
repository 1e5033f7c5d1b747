"""The origin of figures: the command, the commit of the code, the machine and the date."""

import os
import platform
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("dch/*.py", "streams/*.py")
"""The files that figures depend on, at any depth; result files do not count as changes."""


@dataclass(frozen=True)
class Origin:
    """The origin that every table and plot states; for several runs, every value that occurs."""

    command: str
    commit: str
    machine: str
    date: str
    """In UTC."""

    seeds: str = ""

    def sentence(self) -> str:
        """Return the origin as one line of text."""
        seeds = f"seeds {self.seeds} · " if self.seeds else ""
        return f"{self.command} · {seeds}commit {self.commit} · {self.machine} · {self.date}"


def origin_of(command: str) -> Origin:
    """Return the origin of a run that starts now."""
    return Origin(command, commit_of(ROOT), machine(), datetime.now(UTC).strftime("%Y-%m-%d"))


def commit_of(root: Path) -> str:
    """Return the commit of a checkout, with "+ changes" if its code was changed; "unknown" without git."""
    if not (root / ".git").exists():  # an installed copy; a repository around it is another project
        return "unknown"
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit} + changes" if _git(root, "status", "--porcelain", "--", *CODE) else commit


def machine() -> str:
    """Return the processor and the number of cores that this process may use."""
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.machine()}, {cores} cores"


def joined(origins: Iterable[Origin], seeds: Iterable[int]) -> Origin:
    """Return one origin for figures from several runs, with each different value once.

    Which jobs a run selected makes no difference to their figures, so commands are without that.
    """
    every = list(origins)

    def of(field: str) -> str:
        return "; ".join(dict.fromkeys(getattr(origin, field) for origin in every))

    commands = "; ".join(dict.fromkeys(without_only(origin.command) for origin in every))

    days = sorted(origin.date for origin in every) or [""]
    date = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return Origin(commands, of("commit"), of("machine"), date, ", ".join(map(str, sorted(set(seeds)))))


def without_only(command: str) -> str:
    """Return a command without the option that selects jobs."""
    words = shlex.split(command)
    if "--only" in words:
        at = words.index("--only")
        del words[at : at + 2]
    return shlex.join(word for word in words if not word.startswith("--only="))


def _git(root: Path, *arguments: str) -> str:
    """Return the output of git; empty without git or outside a repository."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
