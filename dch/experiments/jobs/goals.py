"""The goals of the model: every figure that was asked for, measured, and met or not."""

from collections.abc import Mapping, Sequence
from functools import partial

from dch.evaluation.code_collisions import BitStatistics
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.goal_measures import EVERYWHERE, IN_DEPTH, RIVAL, Measure
from dch.experiments.jobs.table_protocol import GOAL_CASES
from dch.experiments.plan import Plan
from dch.experiments.reports.exposure_report import exposure_pages
from dch.experiments.reports.goal_list import GOALS, Found, Goal, shown
from dch.experiments.reports.page import Cell, Page, Spread, Table
from dch.experiments.reports.seeds import JobName, look_up, spread_of

IN_DEPTH_ON = "ml-1m"
"""The data set of the goals that name no other."""

NOTE = f"""{GOAL_CASES} Mean ± standard deviation over seeds, of each seed's figure or ratio. iALS-64 is
implicit's, tuned in the same run on a fifth of the first seed's training part, with new users and items
folded in. A figure is compared with its goal as it is shown. Items without ratings: popularity knows nothing
of them, so its list goes by a checksum of the id, one draw of chance; relevant are the tested 20% of their
ratings."""

HEADS = (
    "balance, mean",
    "balance, worst bit",
    "correlation, mean",
    "correlation, worst pair",
    "distinct codes",
    "most items of one code",
    "clashing items",
)
NO_SHARING = (None, None, None)
COLLAPSE_NOTE = """Balance: abs(mean of a bit as -1 or 1), 0 where it is on for half. Correlation: its
absolute value, over all pairs of bits. Of the users and items of the training part. Clashing items share
their code with an item whose set of raters is another; the goal is at most 1%."""


def jobs(plan: Plan) -> list[Job]:
    """Return every measure of every data set that has goals; in quick mode of all data sets at hand."""
    return [
        Job(f"goals/{name}/{what}/{seed}", partial(measure, plan, name, seed), what == RIVAL)
        for name in (plan.data if plan.quick else GOALS)
        if name in plan.data
        for seed in plan.seeds
        for what, measure in _measures(name).items()
    ]


def pages(outcomes: Mapping[str, Outcome]) -> list[Page]:
    """Return the goals, what reserved places bring and cost, and the measures of collapse."""
    by_data = _by_data(outcomes)
    rows = [_row(name, goal, found) for name, found in by_data.items() for goal in _goals(name)]
    if not rows:
        return []
    columns = ("data set", "goal", "asked", "measured", "met")
    goals = Table("goals", "The goals of the model", columns, rows, note=NOTE)
    return [goals, *exposure_pages(by_data), _collapse(by_data)]


def _measures(name: str) -> Mapping[str, Measure]:
    return EVERYWHERE if name in GOALS and name != IN_DEPTH_ON else {**EVERYWHERE, **IN_DEPTH}


def _goals(name: str) -> Sequence[Goal]:
    return GOALS.get(name, GOALS[IN_DEPTH_ON])


def _by_data(outcomes: Mapping[str, Outcome]) -> dict[str, Found]:
    found: dict[str, dict[tuple[str, int], Outcome]] = {}
    for name, outcome in outcomes.items():
        job = JobName.of(name)
        found.setdefault(job.data, {})[job.what, job.seed] = outcome
    return dict(sorted(found.items(), key=lambda pair: [*GOALS, pair[0]].index(pair[0])))


def _row(name: str, goal: Goal, found: Found) -> Sequence[Cell]:
    value = goal.measured(found)
    if value is None:
        return (name, goal.what, goal.asked(), None, None)
    std = f" ± {shown(value.std, goal.unit)}" if value.std else ""
    met = goal.met(value.mean)
    verdict = None if met is None else "yes" if met else "no"
    return (name, goal.what, goal.asked(), shown(value.mean, goal.unit) + std, verdict)


def _collapse(by_data: Mapping[str, Found]) -> Table:
    rows = [
        (
            name,
            side,
            *_bits(found, f"{side[:-1]}_bits"),
            *(_sharing(found) if side == "items" else NO_SHARING),
        )
        for name, found in by_data.items()
        for side in ("users", "items")
    ]
    return Table(
        "collapse", "Bits and shared codes, 64 bits", ("data set", "side", *HEADS), rows, COLLAPSE_NOTE
    )


def _bits(found: Found, side: str) -> list[Spread | None]:
    return [_mean(found, side, what) for what in BitStatistics._fields]


def _sharing(found: Found) -> list[Cell]:
    counts = [_mean(found, "item_sharing", what) for what in ("distinct_codes", "largest_group")]
    return [
        *(f"{count.mean:,.0f}" if count else None for count in counts),
        _mean(found, "item_sharing", "clashing"),
    ]


def _mean(found: Found, *keys: str) -> Spread | None:
    return spread_of(look_up(outcome, *keys) for (job, _), outcome in found.items() if job == "collapse")
