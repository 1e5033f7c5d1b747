"""The goals for costs at a million items: what prints each figure, what it was, what it is, and if it is met.

Written to docs/costs.md by ``tests/bench/report.py``. The figures before are those of commit 849d7d5, on a
machine of the same kind (two shared cores); the ones now are from results.csv. What is compared with a goal
is what is shown: rounded.
"""

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from cases import (
    BESIDE_HEAVY,
    BOTH_SIDES,
    BUSY,
    CHOSEN,
    DEFAULT,
    DEFAULT_TOGETHER,
    ENCODE,
    FAISS,
    FAISS_BESIDE_DEFAULT,
    IDLE,
    POPULAR,
    SERVED,
    STOPPED,
    TRIAL,
    TRIAL_WITH_NEIGHBOURS,
)

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
BEGIN, END = "<!-- written by tests/bench/report.py -->", "<!-- end -->"
BEFORE = "849d7d5"
SMALL, MILLION = 3_700, 1_000_000


class Goal(NamedTuple):
    """A line of the table."""

    figure: str
    program: str
    before: str
    now: object  # text and whether the goal is met, from ``Figures``; None where it was not measured
    goal: str  # empty: none was set


def at_least(case, items, least):
    """Return what tells ratings a second, and whether they are enough."""

    def now(figures):
        found = figures.per_s(case, items)
        return None if found is None else (f"{found:,.0f}/s", round(found) >= least)

    return now


def at_most(case, items, most=None, *, unit="ms", factor=1.0, digits=2):
    """Return what tells a figure, and whether it is small enough."""

    def now(figures):
        found = figures.value(case, items)
        if found is None:
            return None
        shown = round(factor * found, digits)
        return f"{shown:,.{digits}f} {unit}", None if most is None else shown <= most

    return now


def ratio(case, peer, items, most):
    """Return what tells how many times its peer a figure is."""

    def now(figures):
        found, other = figures.value(case, items), figures.value(peer, items)
        if found is None or not other:
            return None
        shown = round(found / other, 2)
        return f"{shown:.2f}", shown <= most

    return now


def above_echo(case, items, most_ms):
    """Return what tells the p99 of requests above that of a bare echo."""

    def now(figures):
        ours, echo = (figures.value(f"{case}, p99{of}", items) for of in ("", ", bare echo"))
        if ours is None or echo is None:
            return None
        shown = round(ours - echo, 1)
        return f"{shown:+.1f} ms ({ours:.1f}; echo {echo:.1f})", shown <= most_ms

    return now


def times_echo(case, items, most=None):
    """Return what tells how many times the p99 of a bare echo that of requests is."""

    def now(figures):
        ours, echo = (figures.value(f"{case}, p99{of}", items) for of in ("", ", bare echo"))
        if ours is None or not echo:
            return None
        shown = round(ours / echo, 2)
        text = f"{shown:.2f} x the echo's ({ours:.1f} ms; echo {echo:.1f} ms)"
        return text, None if most is None else shown <= most

    return now


SERVICE_PROGRAM, SEARCH, LISTS = (
    f"tests/bench/{name}" for name in ("bench_service.py", "bench_search.py", "bench_neighbours.py")
)
GOALS = (
    Goal(
        "ratings/s, users and items committed, 1,000,000 items",
        SERVICE_PROGRAM,
        "about 50/s",
        at_least(BOTH_SIDES, MILLION, 25_000),
        ">= 25,000/s",
    ),
    Goal(
        "the same, 3,700 items",
        SERVICE_PROGRAM,
        "38,000 to 46,000/s",
        at_least(BOTH_SIDES, SMALL, 60_000),
        ">= 60,000/s",
    ),
    Goal(
        "one list as served, without neighbours, 1,000,000 items, Faiss's bare top 20 = 1",
        SEARCH,
        "1.7 to 2.3",
        ratio(SERVED, FAISS, MILLION, 1.0),
        "<= 1.0",
    ),
    Goal("one list by default", LISTS, "-", ratio(DEFAULT, FAISS_BESIDE_DEFAULT, MILLION, 1.0), "<= 1.0"),
    Goal(
        "one of 32 lists by default that wait",
        LISTS,
        "-",
        ratio(DEFAULT_TOGETHER, FAISS_BESIDE_DEFAULT, MILLION, 1.0),
        "<= 1.0",
    ),
    Goal(
        "p99 of a request above a bare echo, 1,000,000 items, idle",
        SERVICE_PROGRAM,
        "+3 ms",
        above_echo(IDLE, MILLION, 3.0),
        "+3 ms",
    ),
    Goal(
        "p99 of a request, the same, while 10,000 ratings/s arrive",
        SERVICE_PROGRAM,
        "+77 ms",
        times_echo(BUSY, MILLION, 3.0),
        "<= 3 x the echo's",
    ),
    Goal(
        "SIGTERM under load until the end, 1,000,000 items",
        SERVICE_PROGRAM,
        "> 15 s",
        at_most(STOPPED, MILLION, 5.0, unit="s"),
        "<= 5 s",
    ),
    Goal(
        "prequential trial with its rating, without neighbours, 1,000,000 items",
        SEARCH,
        "3.28 ms",
        at_most(TRIAL, MILLION, digits=3),
        "",
    ),
    Goal(
        "the same with neighbours, which are the default",
        LISTS,
        "-",
        at_most(TRIAL_WITH_NEIGHBOURS, MILLION, digits=3),
        "",
    ),
    Goal(
        "list of 10 chosen items, without neighbours, 1,000,000 items",
        SEARCH,
        "20 ms",
        at_most(CHOSEN, MILLION),
        "",
    ),
    Goal("list of popular items, 1,000,000 items", SEARCH, "5.9 ms", at_most(POPULAR, MILLION), ""),
    Goal("encode one row", SEARCH, "8.4 us", at_most(ENCODE, MILLION, unit="us", factor=1000), ""),
    Goal(
        "p99 of a request beside ten heavy ones a second, 3,700 items",
        SERVICE_PROGRAM,
        "648 ms (41 alone)",
        times_echo(f"request to reply, kafka, {BESIDE_HEAVY}", SMALL),
        "",
    ),
    Goal(
        "the same, 1,000,000 items",
        SERVICE_PROGRAM,
        "-",
        times_echo(f"request to reply, kafka, {BESIDE_HEAVY}", MILLION),
        "",
    ),
)
"""The lines of docs/costs.md."""


def table(figures):
    """Return the goals as a Markdown table."""
    lines = [
        f"Before: commit {BEFORE}.",
        f"Now: commit {figures.commit}, {figures.date}, {figures.machine}, two cores.",
        "",
        f"| figure | command | before ({BEFORE}) | now | goal | met |",
        "|---|---|---:|---:|---:|---|",
    ]
    for goal in GOALS:
        text, is_met = goal.now(figures) or ("not measured", None)
        met = {True: "yes", False: "**no**", None: "-"}[is_met]
        command = f"`python {goal.program}`"
        lines.append(f"| {goal.figure} | {command} | {goal.before} | {text} | {goal.goal or '-'} | {met} |")
    return "\n".join(lines)


def write(figures):
    """Put the table in its place on the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{after}")
