"""Prometheus and promtool: on the PATH, or from Debian's package, unpacked into a cache folder."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dch-tests" / "prometheus"
TIMEOUT_S = 120


def tool(name):
    """Return the path of ``prometheus`` or ``promtool``; skip the test where there is none."""
    found = find(name)
    if found is None:
        pytest.skip(
            f"no {name}: it is not on the PATH, and Debian's package prometheus could not be downloaded; "
            "run: apt-get install prometheus"
        )
    return found


def find(name):
    """Return the path of ``prometheus`` or ``promtool``; None where there is none."""
    return shutil.which(name) or _unpacked(name)


def run(name, *arguments):
    """Run a tool; return its output, with an error if it fails."""
    command = [tool(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def _unpacked(name):
    binary = CACHE / "usr" / "bin" / name
    if not binary.exists() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        CACHE.mkdir(parents=True, exist_ok=True)
        _download()
        for package in CACHE.glob("prometheus_*.deb"):
            subprocess.run(
                ["dpkg-deb", "-x", package, CACHE], capture_output=True, timeout=TIMEOUT_S, check=False
            )
    return str(binary) if binary.exists() else None


def _download():
    """Download the package; the list of packages is updated only if that fails at first."""
    for command in (["download", "prometheus"], ["update"], ["download", "prometheus"]):
        if not list(CACHE.glob("prometheus_*.deb")):
            subprocess.run(
                ["apt-get", "-q", *command], cwd=CACHE, capture_output=True, timeout=TIMEOUT_S, check=False
            )
