"""The pages of quality: our lists beside the baselines, how these were tuned, and quality by size."""

from collections.abc import Mapping, Sequence

from dch.experiments.job import look_up
from dch.experiments.jobs.table_methods import METHODS
from dch.experiments.jobs.table_protocol import DEFAULT, SCORES
from dch.experiments.reports.goal_list import NDCG, GoalOutcomes, seeds_of
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table, spread_of

CASES = {
    "EUEI": "known users (EUEI)",
    "NUEI": "new users (NUEI)",
    "EUNI-new": "new items among themselves (EUNI-new)",
}

OURS = (
    ("codes, plain Hamming distance", "codes", "codes"),
    ("codes, weighted distance", "codes", "codes-weighted"),
    ("fit without neighbours: codes and ranking vectors", "no-neighbours", "codes+rerank"),
    ("default list: with neighbours where they pay", "codes", DEFAULT),
)
"""Label, job and strategy of our lists."""

SHOWN_BASELINES = (*("popularity", "bpr", "ials", "ials-wide", "item-cf", "rp3beta", "ease-pruned", "ease"),)

QUALITY_NOTE = """NDCG@20, mean ± standard deviation over seeds; a figure without ± is of one seed. The
highest figure of each case is bold. A dash: the method cannot rank such users or items, or was not measured.
Bytes an item are in the table of baselines; for our lists they are 8, 8, 72, and 72 plus neighbours."""

TUNING_NOTE = """Each baseline was tuned once per data set, on a fifth of the first seed's training part, by
optuna with the number of trials shown, and used with all seeds. EASE tries its regularisations from 25 to
3,200, with all weights on the 6,000 items with the most ratings, with the strongest weights on the 12,000
of them if there are more than 20,000. Searches measure on 4,000 users. Those of BPR, of ItemCF and RP3beta
on amazon-books, and of EASE on yelp are older: they measured on 1,000, and EASE began at 100. A fit of our
model tries, on ratings that it holds out, four pairs of confidence and regularisation of its teacher, two
weightings of ratings, 64 or 256 factors, item-to-item weights in the teacher, and none, 32 or 64 neighbours
with one of seven shares. All its other settings are the same on all data sets."""

SIZE_NOTE = """All points are of the first seed. Our lists, from left to right: codes of 64 and of 128 bits by
weighted distance, 64 bits with 64 ranking numbers, 128 bits with 120, and the default list. iALS takes 4
bytes a factor; its smallest four have the settings tuned for 64 factors. EASE takes 5 bytes a weight where
only the strongest are kept; a point beyond 10,000 bytes has all weights, of 4 bytes."""


def quality_pages(by_data: Mapping[str, GoalOutcomes]) -> list[Page]:
    """Return the table of quality, that of baselines, and the plot of quality by bytes an item."""
    return [_quality(by_data), _baselines(by_data), _plot(by_data)]


def _quality(by_data: Mapping[str, GoalOutcomes]) -> Table:
    methods = [
        *((METHODS[key].label, key, SCORES) for key in SHOWN_BASELINES),
        *OURS,
    ]
    rows: list[Sequence[Cell]] = [
        (
            shown,
            label,
            *(_over_seeds(found, job, "cases", case, strategy, NDCG) for found in by_data.values()),
        )
        for case, shown in CASES.items()
        for label, job, strategy in methods
    ]
    every = [
        {name: _seeds_with(found, job, "cases", case, strategy, NDCG) for name, found in by_data.items()}
        for case in CASES
        for _, job, strategy in methods
    ]
    kept = [(row, seeds) for row, seeds in zip(rows, every, strict=True) if any(seeds.values())]
    rows, seeds = [row for row, _ in kept], [of_row for _, of_row in kept]
    columns, title = ("case", "method", *by_data), "Quality beside tuned baselines"
    return Table("quality", title, columns, rows, QUALITY_NOTE, best="group", seeds=seeds)


def _baselines(by_data: Mapping[str, GoalOutcomes]) -> Table:
    every = [
        (name, key) for name, found in by_data.items() for key in SHOWN_BASELINES if seeds_of(found, key)
    ]
    rows: list[Sequence[Cell]] = [
        (name, METHODS[key].label, *_of_baseline(by_data[name], key)) for name, key in every
    ]
    seeds = [{name: seeds_of(by_data[name], key)} for name, key in every]
    columns = ("data set", "baseline", "bytes an item", "trials", "settings", "fit, s")
    title = "How the baselines were tuned"
    return Table("baselines", title, columns, rows, TUNING_NOTE, decimals=1, seeds=seeds)


def _of_baseline(found: GoalOutcomes, key: str) -> list[Cell]:
    outcomes = {seed: outcome for (job, seed), outcome in sorted(found.items()) if job == key}
    first = next(iter(outcomes.values()))
    if "left_out" in first:
        return [None, None, f"left out: {first['left_out']}", None]
    settings = first["settings"] if isinstance(first["settings"], Mapping) else {}
    text = ", ".join(f"{name} {value}" for name, value in settings.items())
    seconds = spread_of(look_up(outcome, "seconds") for outcome in outcomes.values())
    size, trials = (round(look_up(first, what) or 0) for what in ("bytes_per_item", "trials"))
    return [size, trials, text, seconds]


def _plot(by_data: Mapping[str, GoalOutcomes]) -> Plot:
    panels = [
        Panel(name, "bytes an item", "NDCG@20, known users", _lines(found), log_x=True)
        for name, found in by_data.items()
    ]
    seeds = {name: [_first_seed(found)] for name, found in by_data.items()}
    return Plot("quality_by_size", "Quality by bytes an item", panels, SIZE_NOTE, seeds)


def _lines(found: GoalOutcomes) -> dict[str, Line]:
    seed = _first_seed(found)

    def of(job: str) -> Mapping[str, object]:
        return found.get((job, seed), {})

    points: dict[str, dict[int, float | None]] = {
        "codes, vectors, neighbours": {
            8: _euei(of("codes"), "codes-weighted"),
            16: _euei(of("long-vectors"), "codes-weighted"),
            72: _euei(of("no-neighbours"), "codes+rerank"),
            136: _euei(of("long-vectors"), "codes+rerank"),
            _size(of("codes"), "bytes_per_item", DEFAULT): _euei(of("codes"), DEFAULT),
        },
        "iALS": {
            **_smaller(of("narrow-ials")),
            _size(of("ials"), "bytes_per_item"): _euei(of("ials"), SCORES),
            _size(of("ials-wide"), "bytes_per_item"): _euei(of("ials-wide"), SCORES),
        },
        "EASE, strongest weights": {
            **_smaller(of("ease-pruned")),
            _size(of("ease-pruned"), "bytes_per_item"): _euei(of("ease-pruned"), SCORES),
            _size(of("ease"), "bytes_per_item"): _euei(of("ease"), SCORES),
        },
        "RP3beta": {_size(of("rp3beta"), "bytes_per_item"): _euei(of("rp3beta"), SCORES)},
        "ItemCF": {_size(of("item-cf"), "bytes_per_item"): _euei(of("item-cf"), SCORES)},
    }
    return {label: line for label, at in points.items() if (line := _line(at)).x}


def _first_seed(found: GoalOutcomes) -> int:
    return min(seed for _, seed in found)


def _line(points: Mapping[int, float | None]) -> Line:
    known = sorted((x, y) for x, y in points.items() if y is not None)
    return Line([x for x, _ in known], [y for _, y in known])


def _euei(outcome: Mapping[str, object], strategy: str) -> float | None:
    return look_up(outcome, "cases", "EUEI", strategy, NDCG)


def _size(outcome: Mapping[str, object], *keys: str) -> int:
    return round(look_up(outcome, *keys) or 0)


def _smaller(outcome: Mapping[str, object]) -> dict[int, float | None]:
    found = outcome.get("smaller", {})
    sizes = found if isinstance(found, Mapping) else {}
    return {int(size): look_up(outcome, "smaller", size, NDCG) for size in sizes}


def _over_seeds(found: GoalOutcomes, job: str, *keys: str) -> Spread | None:
    return spread_of(look_up(outcome, *keys) for (what, _), outcome in found.items() if what == job)


def _seeds_with(found: GoalOutcomes, job: str, *keys: str) -> list[int]:
    """Return the seeds of the outcomes of a job that have a figure."""
    return [seed for seed in seeds_of(found, job) if look_up(found[job, seed], *keys) is not None]
