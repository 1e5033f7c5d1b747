"""The report of an evaluation: its protocol, and a value for each strategy, case and metric."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

DEPTH = 20
"""Length of every reported list."""

MEANINGS = {
    "EUEI": "known users; lists of known items",
    "NUEI": "users that the fit did not see; lists of known items",
    "EUNI-new": "known users; lists of items that the fit did not see",
    "EUNI-all": "known users; lists of all items, these and the known ones",
    "codes": "the nearest codes by Hamming distance",
    "codes-weighted": "the same; the user's clearest bits count twice",
    "codes+rerank": "near codes, sorted by ranking vectors",
    "codes+rerank+neighbours": "the same, with the neighbours of rated items",
    "popular": "the items with most positive ratings",
}
"""What a case or a strategy is, in a few words; the protocol of a report has the whole definition."""


class MetricKey(NamedTuple):
    """Which strategy, case and metric a value belongs to."""

    strategy: str
    case: str
    metric: str


class Measurement(NamedTuple):
    """The value of one seed: the mean over users (or trials), and the number of users."""

    mean: float
    users: int


@dataclass(frozen=True)
class Result:
    """One value, averaged over all seeds."""

    strategy: str
    """One of ``dch.questions.STRATEGIES``."""

    case: str
    """``EUEI``, ``NUEI``, ``EUNI-new`` or ``EUNI-all``; in a prequential report a cohort, or ``all``."""

    metric: str
    """``hit@20``, ``ndcg@20`` or ``recall@20``."""

    mean: float
    """Mean over seeds of the mean over users."""

    std: float
    """Standard deviation over seeds (n - 1); 0 for one seed."""

    users: int
    """Number of users with something relevant; the mean over seeds, rounded."""


@dataclass(frozen=True)
class Report:
    """All values of one evaluation, with its full protocol."""

    protocol: Mapping[str, object]
    fit_seconds: float
    """Mean duration of a fit over seeds; kernels are compiled beforehand."""

    results: Sequence[Result]

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=2)


def summarise(seeds: Sequence[Mapping[MetricKey, Measurement]]) -> list[Result]:
    """Average the measurements over seeds; a case that only some seeds have is averaged over those seeds."""
    keys = dict.fromkeys(key for measured in seeds for key in measured)
    return [_summarise(key, [measured[key] for measured in seeds if key in measured]) for key in keys]


def table_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a text table, the header first: case, strategy, a column per metric, users.

    Values are rounded to three digits so that the table fits 80 columns; the JSON has all digits.
    """
    metrics = list(dict.fromkeys(result.metric for result in report.results))
    yield ("case", "strategy", *metrics, "users")
    rows: dict[tuple[str, str], dict[str, Result]] = {}
    for result in report.results:
        rows.setdefault((result.case, result.strategy), {})[result.metric] = result
    for (case, strategy), row in rows.items():
        values = (_formatted(row[metric]) for metric in metrics)
        yield (case.replace("_", " "), strategy, *values, f"{next(iter(row.values())).users:,}")


def legend(report: Report) -> Iterator[str]:
    """Yield a line for each case, then for each strategy, that says what it is."""
    cases, strategies = ([getattr(one, part) for one in report.results] for part in ("case", "strategy"))
    for name in dict.fromkeys([*cases, *strategies]):
        if name in MEANINGS:  # the cohorts of a prequential report have plain names
            yield f"{name}: {MEANINGS[name]}"


def _formatted(result: Result) -> str:
    return f"{result.mean:.3f}" + (f" ±{result.std:.3f}".replace("±0", "±") if result.std else "")


def _summarise(key: MetricKey, measurements: Sequence[Measurement]) -> Result:
    means = [measurement.mean for measurement in measurements]
    std = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    users = round(float(np.mean([measurement.users for measurement in measurements])))
    return Result(*key, mean=float(np.mean(means)), std=std, users=users)
