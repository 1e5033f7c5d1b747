"""Where figures come from: the command, the commit of the code, the machine, the day."""

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("dch/*.py", "streams/*.py")
"""What makes figures, at any depth; results of an earlier run beside it change nothing."""


@dataclass(frozen=True)
class Origin:
    """What every table and plot says of itself; of several runs, each value that occurred."""

    command: str
    commit: str
    machine: str
    date: str
    """In UTC."""

    seeds: str = ""

    def sentence(self) -> str:
        """Return all of it as one line of text."""
        seeds = f"seeds {self.seeds} · " if self.seeds else ""
        return f"{self.command} · {seeds}commit {self.commit} · {self.machine} · {self.date}"


def origin_of(command: str) -> Origin:
    """Return where and from what a run starts now."""
    return Origin(command, commit_of(ROOT), machine(), datetime.now(UTC).strftime("%Y-%m-%d"))


def commit_of(root: Path) -> str:
    """Return the commit of a checkout, with "+ changes" where its code differs; "unknown" without git."""
    if not (root / ".git").exists():  # installed as a copy: the checkout around it is somebody else's
        return "unknown"
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit} + changes" if _git(root, "status", "--porcelain", "--", *CODE) else commit


def machine() -> str:
    """Return the processor and how many cores this process may use."""
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.machine()}, {cores} cores"


def joined(origins: Iterable[Origin], seeds: Iterable[int]) -> Origin:
    """Return one origin for figures from several runs."""
    every = list(origins)

    def of(field: str) -> str:
        return "; ".join(dict.fromkeys(getattr(origin, field) for origin in every))

    days = sorted(origin.date for origin in every) or [""]
    date = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return Origin(of("command"), of("commit"), of("machine"), date, ", ".join(map(str, sorted(set(seeds)))))


def _git(root: Path, *arguments: str) -> str:
    """Return what git says, nothing where there is no git or no checkout."""
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
