"""The pages of the code-length study: a table and a plot of quality, search time and memory by length."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.reports.page import Cell, Page, Panel, Plot, Spread, Table, line_of, spread_of

CASES = ("EUEI", "NUEI", "EUNI-new")
STRATEGIES = {"codes": "codes", "codes+rerank": "reranked"}
METRIC = "ndcg@20"

LEVEL = 0.02
"""Gains have levelled off at a length if no doubling beyond it improves quality by this share."""

ByLength = dict[int, Spread]
"""A measured value, by length in bits."""

NOTE = (
    "The cases are those of `dch evaluate`. Search time is the median of 30 exact searches for the nearest "
    "20 of {n_codes:,} random codes on one core. A code shorter than 64 bits takes a whole 64-bit word."
)


def code_length_pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return a table and a plot for each data set."""
    by_data: dict[str, dict[str, Outcome]] = {}
    for name, outcome in outcomes.items():
        by_data.setdefault(JobName.of(name).data, {})[name] = outcome
    return [page for data, found in by_data.items() for page in _pages(data, found)]


def levels_off(quality: Mapping[int, float]) -> int | None:
    """Return the length at which gains level off (see LEVEL), or None if the last doubling still gains.

    Args:
        quality: by length; each length is twice the one before.
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
        _table(data, quality, ms, bytes_, f"{note} {NOTE.format(n_codes=n_codes)}"),
        _plot(data, quality, ms, bytes_, n_codes, note),
    ]


def _sentence(quality: Mapping[tuple[str, str], ByLength]) -> str:
    found = []
    for (case, shown), measure in quality.items():
        bits = levels_off({bits: one.mean for bits, one in measure.items()})
        found.append(f"{case} {shown} {f'at {bits} bits' if bits else 'not within these lengths'}")
    return (
        f"Gains level off at a length if no doubling beyond it improves {METRIC.upper()} by {LEVEL:.0%}: "
        f"{', '.join(found)}."
    )


def _table(
    data: str, quality: Mapping[tuple[str, str], ByLength], ms: ByLength, bytes_: ByLength, note: str
) -> Table:
    columns = ["bits", *(f"{case}, {shown}" for case, shown in quality), "ms per search", "bytes per code"]
    rows: list[list[Cell]] = []
    for bits, size in bytes_.items():
        figures = [found.get(bits) for found in quality.values()]
        rows.append([bits, *figures, ms[bits], round(size.mean)])
    return Table(f"length_{data}", f"{METRIC.upper()} by code length, {data}", columns, rows, note)


def _plot(
    data: str,
    quality: Mapping[tuple[str, str], ByLength],
    ms: ByLength,
    bytes_: ByLength,
    n_codes: int,
    note: str,
) -> Plot:
    lines = {f"{case}, {shown}": line_of(found) for (case, shown), found in quality.items()}
    search = f"ms per search of {n_codes:,} codes"
    panels = [
        Panel("Quality", "bits", METRIC.upper(), lines, log_x=True),
        Panel("Time", "bits", search, {"search": line_of(ms)}, log_x=True),
        Panel("Memory", "bits", "bytes per code", {"memory": line_of(bytes_)}, log_x=True),
    ]
    return Plot(f"length_{data}_plot", f"Code length, {data}", panels, note)


def _over(by_bits: Mapping[int, Iterable[Outcome]], *keys: str) -> ByLength:
    found = {bits: spread_of(look_up(one, *keys) for one in outcomes) for bits, outcomes in by_bits.items()}
    return {bits: one for bits, one in found.items() if one is not None}
