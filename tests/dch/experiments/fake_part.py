"""A part with given outcomes, one page of each kind, and a plan over a small file of ratings."""

from dataclasses import dataclass, field

from dch.experiments.job import Job
from dch.experiments.plan import Plan
from dch.experiments.provenance import Origin
from dch.experiments.reports.page import Line, Panel, Plot, Table

ORIGIN = Origin("dch experiment out", "abc123", "a machine, 2 cores", "2026-01-02")


@dataclass
class FakePart:
    """A part whose jobs return the given numbers or raise the given errors."""

    values: dict
    name: str = "fake"
    of_baseline: bool = False
    ran: list = field(default_factory=list)

    def jobs(self, plan):
        return [Job(name, lambda name=name: self._run(name), self.of_baseline) for name in self.values]

    def _run(self, name):
        self.ran.append(name)
        value = self.values[name]
        if isinstance(value, BaseException):
            raise value
        return {"value": value}

    def pages(self, outcomes, _):
        rows = [(name, outcome["value"]) for name, outcome in sorted(outcomes.items())]
        lines = {"all": Line(list(range(len(rows))), [value for _, value in rows])}
        plot = Plot(f"{self.name}_plot", "A plot", [Panel("one", "x", "y", lines)])
        return [Table(f"{self.name}_table", "A table", ["job", "value"], rows), plot]


def plan_in(folder, **settings):
    (folder / "ratings.csv").write_text("user,item,rating\na,b,3\n")
    return Plan({"tiny": folder / "ratings.csv"}, folder / "out", **settings)
