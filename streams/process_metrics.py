"""Metrics of any process: memory against the limit of its container, the version that runs, and readiness."""

import os
import platform
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streams.metrics import BUILD_INFO, MEMORY_BYTES, MEMORY_LIMIT_BYTES, READY

CGROUP = Path("/sys/fs/cgroup")
STATM = Path("/proc/self/statm")
V2 = ("memory.current", "memory.max", "memory.stat", "inactive_file")
V1 = (
    "memory/memory.usage_in_bytes",
    "memory/memory.limit_in_bytes",
    "memory/memory.stat",
    "total_inactive_file",
)
"""Files of used bytes, of the limit and of details, and the line of details with reclaimable file cache."""


def export_process(checks: Mapping[str, Callable[[], bool]]) -> None:
    """Make the metrics of this process follow its state; they are computed whenever they are read.

    Args:
        checks: the conditions of readiness by name.
    """
    BUILD_INFO.labels(_version(), platform.python_version()).set(1)
    MEMORY_BYTES.set_function(memory_bytes)
    MEMORY_LIMIT_BYTES.set_function(memory_limit_bytes)
    READY.clear()
    for name, check in checks.items():
        READY.labels(name).set_function(partial(_as_number, check))


def _as_number(check: Callable[[], bool]) -> float:
    return float(check())


def memory_bytes(cgroup: Path = CGROUP) -> float:
    """Return the bytes that count against the limit; without a container, the memory of this process."""
    for used_name, limit_name, stat_name, cache_name in (V2, V1):
        if _limit(cgroup / limit_name) is not None and (used := _number(cgroup / used_name)) is not None:
            return max(used - _stat(cgroup / stat_name, cache_name), 0)
    pages = STATM.read_text().split()[1] if STATM.exists() else 0
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


def memory_limit_bytes(cgroup: Path = CGROUP) -> float:
    """Return the limit of the container in bytes; without one, the memory of the machine."""
    for _, limit_name, _, _ in (V2, V1):
        if (limit := _limit(cgroup / limit_name)) is not None:
            return limit
    return machine_bytes()


def machine_bytes() -> float:
    """Return the memory of the machine in bytes."""
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _limit(file: Path) -> float | None:
    """Return a limit in bytes; None if there is none: version 2 says ``max``, version 1 an absurd number."""
    found = _number(file)
    return found if found is not None and found < machine_bytes() else None


def _number(file: Path) -> float | None:
    try:
        return float(int(file.read_text()))
    except (OSError, ValueError):
        return None


def _stat(file: Path, name: str) -> float:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0.0
    return float(next((line.split()[1] for line in lines if line.split()[0] == name), 0))


def _version() -> str:
    try:
        return version("dch-streams")
    except PackageNotFoundError:
        return "unknown"  # run from a folder of sources
