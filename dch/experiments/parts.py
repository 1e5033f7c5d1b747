"""The parts of an experiment: what jobs each has, and what pages it makes of their outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dch.errors import ConfigError
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs import code_length, cold_curve, drift, goals, tables
from dch.experiments.plan import Plan
from dch.experiments.reports.code_length_report import code_length_pages
from dch.experiments.reports.cold_curve_report import cold_curve_pages
from dch.experiments.reports.drift_report import drift_pages
from dch.experiments.reports.goals_report import goals_pages
from dch.experiments.reports.page import Page
from dch.experiments.reports.tables_report import tables_pages


@dataclass(frozen=True)
class Part:
    """One part of an experiment."""

    jobs: Callable[[Plan], Sequence[Job]]
    """Returns the jobs of a plan, quick ones first; does not read the outcomes of other parts."""

    pages: Callable[[Mapping[str, Outcome], Sequence[int]], Sequence[Page]]
    """Takes the outcomes found so far, by job name, of which some may be missing, and the plan's seeds."""


def _for_any_seeds(
    pages: Callable[[Mapping[str, Outcome]], Sequence[Page]],
) -> Callable[[Mapping[str, Outcome], Sequence[int]], Sequence[Page]]:
    """Return pages that do not depend on which seeds were planned."""
    return lambda outcomes, _: pages(outcomes)


PARTS: Mapping[str, Part] = {
    "goals": Part(goals.jobs, goals_pages),
    "tables": Part(tables.jobs, _for_any_seeds(tables_pages)),
    "length": Part(code_length.jobs, _for_any_seeds(code_length_pages)),
    "cold": Part(cold_curve.jobs, _for_any_seeds(cold_curve_pages)),
    "drift": Part(drift.jobs, _for_any_seeds(drift_pages)),
}
"""By name, in the order in which they run and are shown."""


def check_names(names: Sequence[str]) -> None:
    """Check that each job name or pattern begins with the name of a part.

    Raises:
        ConfigError: there is no part of that name.
    """
    for name in names:
        part = name.partition("/")[0]
        if not any(fnmatchcase(known, part) for known in PARTS):
            raise ConfigError(f"parts are {', '.join(PARTS)}; got {part!r}")
