"""The figures that ``make bench`` wrote: the last line of ``tests/bench/results.csv`` for a case."""

import csv
from pathlib import Path
from typing import NamedTuple

from dch.experiments.provenance import ROOT

LINES = ROOT / "tests" / "bench" / "results.csv"


class Benchmark(NamedTuple):
    """One measured figure."""

    ms: float
    commit: str


def last_benchmark(case: str, *, items: int, bits: int = 64, path: Path = LINES) -> Benchmark | None:
    """Return the figure that was measured last; None if there is none, as in an installed copy.

    Args:
        case: what was measured, as in the file.
        items: size of the catalogue.
        bits: length of a code.
        path: the file.
    """
    if not path.exists():
        return None
    wanted = {"case": case, "items": str(items), "bits": str(bits)}
    with path.open(newline="") as file:
        found = [line for line in csv.DictReader(file) if wanted.items() <= line.items()]
    return Benchmark(float(found[-1]["median_ms"]), found[-1]["commit"]) if found else None
