"""A job: one piece of an experiment, small enough to be done again when it was cut short."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dch.experiments.plan import Plan
from dch.experiments.reports.page import Page

Outcome = Mapping[str, object]
"""What a job found, as JSON."""


@dataclass(frozen=True)
class Job:
    """One piece of an experiment."""

    name: str
    """Such as ``cold/ml-1m/0``: part, data set, what sets it apart; also the path of its outcome."""

    run: Callable[[], Outcome]

    of_baseline: bool = False
    """What it finds is a compared method's alone: other settings of ours are no reason to run it again."""


class Part(Protocol):
    """One of the modules in ``parts``."""

    def jobs(self, plan: Plan) -> Sequence[Job]:
        """Return what there is to do, the cheap first; outcomes of other parts are not looked at."""
        ...

    def pages(self, outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
        """Return what can be shown of the outcomes at hand, by job name; some may still be missing."""
        ...
