"""The pages of the goals: each goal with the measured figure, reserved positions, and code collisions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dch.evaluation.code_collisions import BitStatistics
from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.jobs.goals import IN_DEPTH_ON
from dch.experiments.jobs.table_methods import METHODS
from dch.experiments.jobs.table_protocol import GOAL_CASES
from dch.experiments.reports.exposure_report import exposure_pages
from dch.experiments.reports.goal_list import (
    ELSEWHERE,
    GOALS,
    OTHERS,
    Goal,
    GoalOutcomes,
    seeds_of,
    shown,
)
from dch.experiments.reports.page import Cell, Page, Spread, Table, spread_of
from dch.experiments.reports.quality_report import quality_pages

NOTE = f"""{GOAL_CASES}
Each figure or ratio is computed per seed; the table shows the mean ± standard deviation over seeds. The best
baseline is the one with the highest mean over seeds; it is named beside the figure, and a goal that is met is
open while baselines are missing. A verdict that rests on fewer seeds than were planned names them. Figures
are rounded as shown before they are compared with the targets. The default list is the one with neighbours
where the model has them. Items by features alone are the held-out items with features and without ratings,
ranked among themselves; the 20% of their ratings in the test part are relevant. The ridge regression goes
from the same features to the item factors of tuned iALS-64. A goal that another command measures names it;
the figure of `make bench` is that of the last run on record."""

OTHERS_NOTE = """Cold items are the held-out items with features and without ratings, ranked among themselves.
Popularity has no ratings to rank cold items by, so its list is ordered by a checksum of the id, which is
one random order. Seconds are of one fit on one thread."""

COLLISIONS, SIDES = "collapse", ("users", "items")

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


def goals_pages(outcomes: Mapping[str, Outcome], planned: Sequence[int]) -> list[Page]:
    """Return the goals, quality beside the baselines and by size, and what else was measured.

    Args:
        outcomes: by job name; some may be missing.
        planned: the seeds of the plan.
    """
    by_data = _by_data(outcomes)
    if not by_data:
        return []
    goals = _goals("goals", "Goals of the model", by_data, GOALS, planned, NOTE)
    elsewhere = [(goal.data, goal.what, goal.target, *goal.measured()) for goal in ELSEWHERE]
    seeds = [*goals.seeds, *({} for _ in ELSEWHERE)]
    goals = replace(goals, rows=[*goals.rows, *elsewhere], seeds=seeds)
    others = _goals("other_figures", "Other figures of the model", by_data, OTHERS, planned, OTHERS_NOTE)
    pages: list[Page] = [goals, *quality_pages(by_data), others, *exposure_pages(by_data)]
    return [*pages, *_collisions(by_data)]


def _goals(
    name: str,
    title: str,
    by_data: Mapping[str, GoalOutcomes],
    goals: Mapping[str, Sequence[Goal]],
    planned: Sequence[int],
    note: str,
) -> Table:
    """Return a table of goals, each with the seeds that have its figure."""
    every = [(data, goal) for data in by_data for goal in goals.get(data, goals[IN_DEPTH_ON])]
    rows = [_row(data, goal, by_data[data], planned) for data, goal in every]
    seeds = [{data: goal.seeds(by_data[data])} for data, goal in every]
    columns = ("data set", "goal", "target", "measured", "met")
    return Table(name, title, columns, rows, note=note, seeds=seeds)


def _by_data(outcomes: Mapping[str, Outcome]) -> dict[str, GoalOutcomes]:
    found: dict[str, dict[tuple[str, int], Outcome]] = {}
    for name, outcome in outcomes.items():
        job = JobName.of(name)
        found.setdefault(job.data, {})[job.what, job.seed] = outcome
    return dict(sorted(found.items(), key=lambda pair: [*GOALS, pair[0]].index(pair[0])))


def _row(name: str, goal: Goal, found: GoalOutcomes, planned: Sequence[int]) -> Sequence[Cell]:
    value = goal.measured(found)
    if value is None:
        return (name, goal.what, goal.target(), None, None)
    std = f" ± {shown(value.std, goal.unit)}" if value.std else ""
    figure = shown(value.mean, goal.unit) + std + _best(goal, found)
    return (name, goal.what, goal.target(), figure, _verdict(goal, value.mean, found, planned))


def _verdict(goal: Goal, mean: float, found: GoalOutcomes, planned: Sequence[int]) -> str | None:
    """Return whether a goal is met, and by which seeds if not all that were planned have the figure."""
    met, seeds = goal.met(mean), goal.seeds(found)
    if met is None:
        return None
    verdict = "no" if not met else "open" if _missing(goal, found) else "yes"
    if set(planned) <= set(seeds):
        return verdict
    which = f"seed {seeds[0]} alone" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))} alone"
    return f"{verdict} ({which})"


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
    every = [(name, side) for name, found in by_data.items() if seeds_of(found, COLLISIONS) for side in SIDES]
    if not every:
        return []
    rows: list[Sequence[Cell]] = [
        (name, side, *_bits(by_data[name], f"{side[:-1]}_bits"), *_shared_codes(by_data[name], side))
        for name, side in every
    ]
    seeds = [{name: seeds_of(by_data[name], COLLISIONS)} for name, _ in every]
    columns, title = ("data set", "side", *COLLISION_COLUMNS), "Bits and code collisions, 64 bits"
    return [Table("code_collisions", title, columns, rows, COLLISION_NOTE, seeds=seeds)]


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
    return spread_of(look_up(outcome, *keys) for (job, _), outcome in found.items() if job == COLLISIONS)
