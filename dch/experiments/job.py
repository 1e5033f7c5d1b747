"""A job: one piece of an experiment, and how to read its name and its outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dch.config import Objective
from dch.experiments.plan import Plan

Outcome = Mapping[str, object]
"""What a job measured; JSON can represent it."""


@dataclass(frozen=True)
class Job:
    """One piece of an experiment: the unit that is saved, and run again after an interruption."""

    name: str
    """Such as ``cold/ml-1m/dch/0``: see ``JobName``."""

    run: Callable[[], Outcome]

    of_baseline: bool = False
    """Whether the outcome is of a baseline alone, so that changed DCH settings do not invalidate it."""

    objective: Objective = "ranking"
    """The objective of the fit, whose settings the outcome depends on."""

    def settings(self, plan: Plan) -> str:
        """Return the digest of everything but the seed that the outcome depends on: ``Plan.settings``."""
        data = [part for part in self.name.split("/")[1:] if part in plan.data]
        name = data[0] if data else None
        return plan.settings(name, of_baseline=self.of_baseline, objective=self.objective)


class JobName(NamedTuple):
    """The components of a job's name, ``part/data set/what/seed``."""

    part: str
    data: str
    what: str
    seed: int

    @classmethod
    def of(cls, name: str) -> "JobName":
        """Split a name into its components."""
        part, data, what, seed = name.split("/")
        return cls(part, data, what, int(seed))


def look_up(outcome: Outcome, *keys: str) -> float | None:
    """Return the number under these nested keys of an outcome, or None if any key is missing."""
    found: object = outcome
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return float(found) if isinstance(found, (int, float)) else None
