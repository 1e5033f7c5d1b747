"""Append one measurement to results.csv, so that documentation can cite its line."""

import csv
import datetime
import platform
import subprocess
from pathlib import Path

RESULTS = Path(__file__).with_name("results.csv")
ROOT = Path(__file__).parents[2]
CODE = ("dch", "streams", "tests", "constraints.txt")
COLUMNS = ("date", "commit", "machine", "case", "n", "bits", "median_ms", "items")


ML_1M = 3_706
"""Items of MovieLens-1M."""


def record(case, *, n, bits, median_ms, items=ML_1M):
    """Append one line; give cases that are compared names with a common beginning.

    Args:
        case: what was measured.
        n: how many of what it is about: codes, ratings or requests.
        bits: length of a code.
        median_ms: milliseconds, or what the case says.
        items: size of the catalogue.
    """
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        writer.writerow([today, commit_of(ROOT), _machine(), case, n, bits, f"{median_ms:.4g}", items])


def commit_of(root):
    """Return the commit of a checkout, with ``-dirty`` if code was changed or added since.

    The lines that benchmarks append are no code, nor are the pages.
    """
    changed = _git(root, "status", "--porcelain", "--", *CODE, f":(exclude)tests/bench/{RESULTS.name}")
    return _git(root, "rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(root, *arguments):
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout.strip()


def _machine():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
