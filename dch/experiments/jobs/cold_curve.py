"""Cold start: the hit rate against the number of ratings given, for new users and for new items."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from dch.data.splits import Holdout
from dch.evaluation.cold_start import GIVEN_COUNTS, ColdStart, cold_start_items, cold_start_users
from dch.evaluation.fit_and_serve import events_of, serve
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, measure_lists
from dch.evaluation.report import DEPTH
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import can_rank, precedences, scorer_lists
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_protocol import relevant_from
from dch.experiments.jobs.tuned_ials import tuned_ials
from dch.experiments.plan import Plan
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table
from dch.experiments.reports.seeds import JobName, look_up, spread_of

LEFT_OUT = ("amazon-timed",)
"""For drift alone."""

METRICS = (f"hit@{DEPTH}", f"ndcg@{DEPTH}")

CASES = {
    "users": "new users",
    "items": "new items, among themselves",
    "items among all": "new items, among all items",
}

STRATEGIES = {
    "codes": "codes",
    "codes+rerank": "codes, reranked",
    "ials": "iALS, 64 floats",
    "popular": "popular",
}

MOST_GIVEN = GIVEN_COUNTS[-1]

NOTE = f"""Ratings given are drawn by chance, 0 to {MOST_GIVEN} of each new user or item; those with fewer
than {MOST_GIVEN} to give are left out, so that every column is of the same users and items. The ranked items
are the same in every column, too: all but those of the user's whole given part (for users: training items;
for items: the new items alone, or training items as well). New items are asked for by users of the training
part, encoded from their training ratings. With 0 ratings a new user gets the popular list, and a new item has
a code from its features, a dash where it has none that the fit knows. iALS is tuned and folds the same
ratings in."""

Cases = dict[str, dict[str, dict[str, dict[str, float]]]]
"""By case, strategy, number given and metric."""


def jobs(plan: Plan) -> list[Job]:
    """Return a job for each data set, seed, and method."""
    return [
        Job(f"cold/{name}/{what}/{seed}", partial(run, plan, name, seed), what == "ials")
        for name in plan.data
        if name not in LEFT_OUT
        for seed in plan.seeds
        for what, run in (("dch", codes), ("ials", ials))
    ]


def pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return a table of each metric, and a plot of each data set."""
    by_data: dict[str, list[Outcome]] = {}
    for name, outcome in outcomes.items():
        by_data.setdefault(JobName.of(name).data, []).append(outcome)
    if not by_data:
        return []
    return [*(_table(by_data, metric) for metric in METRICS), *(_plot(*pair) for pair in by_data.items())]


def codes(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure codes and the popular list, the towers frozen."""
    model, _ = plan.model(name, seed)
    split, cases, counts = plan.split(name, seed).holdout, _empty(), {}
    for side, cold in _both(split, seed).items():
        state, counts[side] = serve(model, split.train), cold.n_new
        fold_in = state.fold_in_users if side == "users" else state.fold_in_items
        for n, more in cold.steps():
            fold_in(events_of(state, more))
            state.refresh_items()
            allowed = state.snapshot.item_index.view().allowed.view(np.bool_)
            for case, question in cold.tasks.items():
                if (allowed & question.candidates).any():
                    lists = make_lists(state, question, n_threads=plan.config.threads)
                    _keep(cases, case, n, lists, question)
    return {"cases": cases, "new": counts}


def ials(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure iALS, tuned, with the same ratings folded in."""
    fitted, split, cases = tuned_ials(plan, name, seed), plan.split(name, seed).holdout, _empty()
    for side, cold in _both(split, seed).items():
        for n in GIVEN_COUNTS:
            given = cold.given(0, n)
            counted = split.train if side == "users" else join(split.train, given)
            precedence, scorer = precedences(counted, relevant_from(split.train)), fitted.fold_in(given)
            for case, question in cold.tasks.items():
                if side == "users" or can_rank(scorer, question):
                    lists = scorer_lists(scorer, question, precedence=precedence)
                    _keep(cases, case, n, {"ials": lists}, question)
    return {"cases": cases}


def _both(split: Holdout, seed: int) -> dict[str, ColdStart]:
    least = relevant_from(split.train)
    return {
        "users": cold_start_users(split, least, np.random.default_rng([seed, 4])),
        "items": cold_start_items(split, least, np.random.default_rng([seed, 5])),
    }


def _empty() -> Cases:
    return {case: {} for case in CASES}


def _keep(cases: Cases, case: str, n: int, lists: dict[str, Lists], question: RankingTask) -> None:
    for key, found in measure_lists(lists, question, case).items():
        if key.metric in METRICS:
            cases[case].setdefault(key.strategy, {}).setdefault(str(n), {})[key.metric] = found.mean


def _at(outcomes: Sequence[Outcome], case: str, strategy: str, n: int, metric: str) -> Spread | None:
    return spread_of(look_up(outcome, "cases", case, strategy, str(n), metric) for outcome in outcomes)


def _table(by_data: Mapping[str, Sequence[Outcome]], metric: str) -> Table:
    rows: list[list[Cell]] = []
    for data, outcomes in by_data.items():
        for case, shown in CASES.items():
            for strategy, label in STRATEGIES.items():
                figures = [_at(outcomes, case, strategy, n, metric) for n in GIVEN_COUNTS]
                if any(figure is not None for figure in figures):
                    rows.append([data, shown, label, *figures])
    columns = ["data set", "case", "method", *(str(n) for n in GIVEN_COUNTS)]
    title = f"Cold start: {metric.upper()} by number of ratings given"
    counts = " ".join(_count(data, outcomes) for data, outcomes in by_data.items())
    return Table(f"cold_{metric.split('@')[0]}", title, columns, rows, f"{NOTE} {counts}".strip())


def _count(data: str, outcomes: Sequence[Outcome]) -> str:
    """Say how many new users and items there are, on average over seeds."""
    users, items = (
        spread_of(look_up(outcome, "new", side) for outcome in outcomes) for side in ("users", "items")
    )
    return f"{data}: {users.mean:,.0f} new users, {items.mean:,.0f} new items." if users and items else ""


def _plot(data: str, outcomes: Sequence[Outcome]) -> Plot:
    panels = [
        Panel(shown.capitalize(), "ratings given", METRICS[0].upper(), _lines(outcomes, case), log_x=True)
        for case, shown in CASES.items()
    ]
    return Plot(f"cold_{data}_plot", f"Cold start, {data}", panels, NOTE)


def _lines(outcomes: Sequence[Outcome], case: str) -> dict[str, Line]:
    lines = {}
    for strategy, label in STRATEGIES.items():
        found = {n: _at(outcomes, case, strategy, n, METRICS[0]) for n in GIVEN_COUNTS}
        there = {n: spread for n, spread in found.items() if spread is not None}
        if there:
            means, stds = zip(*there.values(), strict=True)
            lines[label] = Line(list(there), means, stds if any(stds) else ())
    return lines
