"""Averages over seeds, of what jobs found that differ in their seed alone."""

from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import NamedTuple

from dch.experiments.reports.page import Spread


class JobName(NamedTuple):
    """The parts of a job's name."""

    part: str
    data: str
    what: str
    seed: int

    @classmethod
    def of(cls, name: str) -> "JobName":
        """Take a name of the form ``part/data set/what/seed`` apart."""
        part, data, what, seed = name.split("/")
        return cls(part, data, what, int(seed))


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """Return mean and standard deviation (n - 1; 0 for one) of the values that are there, None for none."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    return Spread(fmean(found), stdev(found) if len(found) > 1 else 0.0)


def look_up(outcome: Mapping[str, object], *keys: str) -> float | None:
    """Return a number deep in an outcome, or None where any of the keys is missing."""
    found: object = outcome
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return float(found) if isinstance(found, (int, float)) else None
