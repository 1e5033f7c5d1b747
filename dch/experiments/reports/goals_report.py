"""The pages of the goals: each goal with the measured figure, reserved positions, and code collisions."""

from collections.abc import Mapping, Sequence

from dch.evaluation.code_collisions import BitStatistics
from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.jobs.goals import IN_DEPTH_ON
from dch.experiments.jobs.table_methods import METHODS
from dch.experiments.jobs.table_protocol import GOAL_CASES
from dch.experiments.reports.exposure_report import exposure_pages
from dch.experiments.reports.goal_list import ELSEWHERE, GOALS, OTHERS, Goal, GoalOutcomes, shown
from dch.experiments.reports.page import Cell, Page, Spread, Table, spread_of
from dch.experiments.reports.quality_report import quality_pages

NOTE = f"""{GOAL_CASES}
Each figure or ratio is computed per seed; the table shows the mean ± standard deviation over seeds. The best
baseline is the one with the highest mean over seeds; it is named beside the figure, and a goal that is met is
open while baselines are missing. Figures are rounded as shown before they are compared with the targets. The
default list is the one with neighbours where the model has them. Items by features alone are the held-out
items with features and without ratings, ranked among themselves; the 20% of their ratings in the test part
are relevant. The ridge regression goes from the same features to the item factors of tuned iALS-64. A goal
that another command measures names it."""

OTHERS_NOTE = """Cold items are the held-out items with features and without ratings, ranked among themselves.
Popularity has no ratings to rank cold items by, so its list is ordered by a checksum of the id, which is
one random order. Seconds are of one fit on one thread."""

COLLISION_COLUMNS = (
    "balance, mean",
    "balance, worst bit",
    "correlation, mean",
    "correlation, worst pair",
    "distinct codes",
    "most items of one code",
    "colliding items",
)
COLLISION_NOTE = """Computed over the users and items of the training part. Balance is the absolute mean of
a bit as -1 or 1: 0 if the bit is on for half of the codes. Correlation is the absolute correlation of two
bits, over all pairs. Colliding items share their code with an item that has a different set of raters; the
goal is at most 1%."""


def goals_pages(outcomes: Mapping[str, Outcome]) -> list[Page]:
    """Return the goals, quality beside the baselines and by size, and what else was measured."""
    by_data = _by_data(outcomes)
    if not by_data:
        return []
    rows = [*_rows(by_data, GOALS), *((*goal, None) for goal in ELSEWHERE)]
    columns = ("data set", "goal", "target", "measured", "met")
    goals = Table("goals", "Goals of the model", columns, rows, note=NOTE)
    measured = [row for row in _rows(by_data, OTHERS) if row[3] is not None]
    others = Table("other_figures", "Other figures of the model", columns, measured, note=OTHERS_NOTE)
    pages: list[Page] = [goals, *quality_pages(by_data), others, *exposure_pages(by_data)]
    return [*pages, *_collisions(by_data)]


def _rows(by_data: Mapping[str, GoalOutcomes], goals: Mapping[str, Sequence[Goal]]) -> list[Sequence[Cell]]:
    return [
        _row(name, goal, found)
        for name, found in by_data.items()
        for goal in goals.get(name, goals[IN_DEPTH_ON])
    ]


def _by_data(outcomes: Mapping[str, Outcome]) -> dict[str, GoalOutcomes]:
    found: dict[str, dict[tuple[str, int], Outcome]] = {}
    for name, outcome in outcomes.items():
        job = JobName.of(name)
        found.setdefault(job.data, {})[job.what, job.seed] = outcome
    return dict(sorted(found.items(), key=lambda pair: [*GOALS, pair[0]].index(pair[0])))


def _row(name: str, goal: Goal, found: GoalOutcomes) -> Sequence[Cell]:
    value = goal.measured(found)
    if value is None:
        return (name, goal.what, goal.target(), None, None)
    std = f" ± {shown(value.std, goal.unit)}" if value.std else ""
    met = goal.met(value.mean)
    verdict = None if met is None else "yes" if met else "no"
    if met and _missing(goal, found):
        verdict = "open"
    return (name, goal.what, goal.target(), shown(value.mean, goal.unit) + std + _best(goal, found), verdict)


def _best(goal: Goal, found: GoalOutcomes) -> str:
    """Return the name of the baseline that was the best of several."""
    if not goal.several():
        return ""
    missing = ", ".join(METHODS[key].label for key in _missing(goal, found))
    rest = f"; not measured: {missing}" if missing else ""
    return f" ({METHODS[goal.divisor(found)[0]].label}{rest})"


def _missing(goal: Goal, found: GoalOutcomes) -> list[str]:
    """Return the baselines of a goal that were neither measured nor left out because of their cost."""
    return [keys[0] for keys in goal.several() if not any(job == keys[0] for job, _ in found)]


def _collisions(by_data: Mapping[str, GoalOutcomes]) -> list[Table]:
    """Return the table of code collisions, or none where they were not measured."""
    rows: list[Sequence[Cell]] = [
        (name, side, *_bits(found, f"{side[:-1]}_bits"), *_shared_codes(found, side))
        for name, found in by_data.items()
        for side in ("users", "items")
        if any(job == "collapse" for job, _ in found)
    ]
    if not rows:
        return []
    columns = ("data set", "side", *COLLISION_COLUMNS)
    return [Table("code_collisions", "Bits and code collisions, 64 bits", columns, rows, COLLISION_NOTE)]


def _bits(found: GoalOutcomes, side: str) -> list[Spread | None]:
    return [_mean(found, side, what) for what in BitStatistics._fields]


def _shared_codes(found: GoalOutcomes, side: str) -> list[Cell]:
    """Return distinct codes, most items of one code and colliding items; measured for items only."""
    if side == "users":
        return [None, None, None]
    counts = [_mean(found, "item_sharing", what) for what in ("distinct_codes", "largest_group")]
    shown_counts = (f"{count.mean:,.0f}" if count else None for count in counts)
    return [*shown_counts, _mean(found, "item_sharing", "clashing")]


def _mean(found: GoalOutcomes, *keys: str) -> Spread | None:
    return spread_of(look_up(outcome, *keys) for (job, _), outcome in found.items() if job == "collapse")
