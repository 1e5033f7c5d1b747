"""The code-length study: quality, time of a search and memory against the length of a code."""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_protocol import by_case, goal_cases
from dch.experiments.plan import Plan
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table
from dch.experiments.reports.seeds import JobName, look_up, spread_of
from dch.models.codes import WORD_BITS, n_words

DATA = "ml-1m"
LENGTHS = (8, 16, 32, 64, 128, 256)
CASES = ("EUEI", "NUEI", "EUNI-new")
STRATEGIES = {"codes": "codes", "codes+rerank": "reranked"}
METRIC = "ndcg@20"

N_CODES, N_CODES_QUICK = 1_000_000, 20_000
SEARCHES = 30
K = 20

LEVEL = 0.02
"""Gains have levelled off where doubling the length brings less than this share."""

Measure = dict[int, Spread]
"""By length."""


def jobs(plan: Plan) -> list[Job]:
    """Return a job for each seed and length, seed by seed."""
    names = plan.data if plan.quick else [name for name in (DATA,) if name in plan.data]
    lengths = [bits for bits in LENGTHS if bits <= plan.config.hidden]  # a quick run has few hidden units
    return [_job(plan, name, bits, seed) for name in names for seed in plan.seeds for bits in lengths]


def pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return a table and a plot for each data set."""
    by_data: dict[str, dict[str, Outcome]] = {}
    for name, outcome in outcomes.items():
        by_data.setdefault(JobName.of(name).data, {})[name] = outcome
    return [page for data, found in by_data.items() for page in _pages(data, found)]


def _job(plan: Plan, name: str, bits: int, seed: int) -> Job:
    def run() -> Outcome:
        model, fit_s = plan.model(name, seed, bits=bits)
        measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
        n_codes = N_CODES_QUICK if plan.quick else N_CODES
        return {
            "cases": by_case(measured),
            "fit_seconds": fit_s,
            "search_ms": search_ms(bits, n_codes, np.random.default_rng(seed)),
            "n_codes": n_codes,
            "bytes": bits // 8,
        }

    return Job(f"length/{name}/{bits}-bits/{seed}", run)


def search_ms(bits: int, n_codes: int, rng: np.random.Generator) -> float:
    """Return milliseconds of one exact search over random codes on one core, the median of 30.

    Args:
        bits: length of a code; shorter ones than a word are kept in one.
        n_codes: how many are searched.
        rng: draws codes and queries.
    """
    from dch.search import nearest

    words = rng.integers(np.iinfo(np.uint64).max, size=(n_codes, n_words(bits)), dtype=np.uint64)
    if bits < WORD_BITS:
        words &= np.uint64(2**bits - 1)
    taken = []
    for row in range(SEARCHES + 1):
        start = time.perf_counter()
        nearest(words, words[row], K, bits=bits)
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken[1:]))  # the first one compiles


def levels_off(quality: Mapping[int, float]) -> int | None:
    """Return the first length after which no doubling gains LEVEL any more; None where the last one does.

    Args:
        quality: by length, each twice the one before.
    """
    level = None
    for (bits, before), (_, after) in pairwise(sorted(quality.items())):
        gains = after >= before * (1 + LEVEL)
        level = None if gains else level or bits
    return level


def _pages(data: str, outcomes: Mapping[str, Outcome]) -> list[Page]:
    by_bits: dict[int, list[Outcome]] = {}
    for name, outcome in outcomes.items():
        by_bits.setdefault(int(JobName.of(name).what.removesuffix("-bits")), []).append(outcome)
    by_bits = dict(sorted(by_bits.items()))
    quality = {
        (case, shown): _over(by_bits, "cases", case, strategy, METRIC)
        for strategy, shown in STRATEGIES.items()
        for case in CASES
    }
    ms, bytes_ = _over(by_bits, "search_ms"), _over(by_bits, "bytes")
    n_codes = max(int(look_up(outcome, "n_codes") or 0) for outcome in outcomes.values())
    note = _sentence(quality)
    return [
        _table(data, quality, ms, bytes_, f"{note} {_ABOUT.format(n_codes=n_codes)}"),
        _plot(data, quality, ms, bytes_, n_codes, note),
    ]


_ABOUT = (
    "The cases are those of `dch evaluate`. Milliseconds: one exact search of the nearest 20 among "
    "{n_codes:,} random codes on one core, median of 30. "
    "Shorter codes than 64 bits fill a word of 64 all the same."
)


def _sentence(quality: Mapping[tuple[str, str], Measure]) -> str:
    found = []
    for (case, shown), measure in quality.items():
        bits = levels_off({bits: one.mean for bits, one in measure.items()})
        found.append(f"{case} {shown} {f'at {bits} bits' if bits else 'not yet'}")
    return f"Gains level off, doubling the length then brings less than {LEVEL:.0%}: {', '.join(found)}."


def _table(
    data: str, quality: Mapping[tuple[str, str], Measure], ms: Measure, bytes_: Measure, note: str
) -> Table:
    columns = ["bits", *(f"{case}, {shown}" for case, shown in quality), "ms per search", "bytes per code"]
    rows: list[list[Cell]] = []
    for bits, size in bytes_.items():
        figures = [found.get(bits) for found in quality.values()]
        rows.append([bits, *figures, ms[bits], round(size.mean)])
    return Table(
        f"length_{data}", f"{METRIC.upper()} against the length of a code, {data}", columns, rows, note
    )


def _plot(
    data: str,
    quality: Mapping[tuple[str, str], Measure],
    ms: Measure,
    bytes_: Measure,
    n_codes: int,
    note: str,
) -> Plot:
    lines = {f"{case}, {shown}": _line(found) for (case, shown), found in quality.items()}
    search = f"ms per search of {n_codes:,} codes"
    panels = [
        Panel("Quality", "bits", METRIC.upper(), lines, log_x=True),
        Panel("Time", "bits", search, {"search": _line(ms)}, log_x=True),
        Panel("Memory", "bits", "bytes per code", {"memory": _line(bytes_)}, log_x=True),
    ]
    return Plot(f"length_{data}_plot", f"The length of a code, {data}", panels, note)


def _line(found: Measure) -> Line:
    spreads = [one.std for one in found.values()]
    return Line(list(found), [one.mean for one in found.values()], spreads if any(spreads) else ())


def _over(by_bits: Mapping[int, Iterable[Outcome]], *keys: str) -> Measure:
    found = {bits: spread_of(look_up(one, *keys) for one in outcomes) for bits, outcomes in by_bits.items()}
    return {bits: one for bits, one in found.items() if one is not None}
