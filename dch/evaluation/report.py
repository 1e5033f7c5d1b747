"""What an evaluation found: a value for each strategy, case and metric, over seeds; and how it was found."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

DEPTH = 20
"""Depth of every reported list."""


class Key(NamedTuple):
    """What one value is about."""

    strategy: str
    case: str
    metric: str


class Measured(NamedTuple):
    """What one seed gave: the mean over users (or trials), and how many users there were."""

    mean: float
    users: int


@dataclass(frozen=True)
class Result:
    """One value over all seeds."""

    strategy: str
    """``codes``, ``codes+rerank`` or ``popular``."""

    case: str
    """``EUEI``, ``NUEI``, ``EUNI-new``, ``EUNI-all``; prequential: a cohort, or ``all``."""

    metric: str
    """``hit@20``, ``ndcg@20`` or ``recall@20``."""

    mean: float
    """Mean over seeds of the mean over users."""

    std: float
    """Standard deviation over seeds (n - 1); 0 for one seed."""

    users: int
    """Users with something relevant; the mean over seeds, rounded."""


@dataclass(frozen=True)
class Report:
    """All values of one evaluation, with its protocol in full."""

    protocol: Mapping[str, object]
    fit_seconds: float
    """Mean over seeds of the time of a fit, compilation of kernels aside."""

    results: Sequence[Result]

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), indent=2)


def summarise(seeds: Sequence[Mapping[Key, Measured]]) -> list[Result]:
    """Average what the seeds gave; a case that only some seeds have is averaged over those."""
    keys = dict.fromkeys(key for measured in seeds for key in measured)
    return [_summarise(key, [measured[key] for measured in seeds if key in measured]) for key in keys]


def table_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield rows of text for a table, the header first: case, strategy, a column per metric, users.

    Values are as short as they can be, for the table has to fit 80 columns; the JSON has every digit.
    """
    metrics = list(dict.fromkeys(result.metric for result in report.results))
    yield ("case", "strategy", *metrics, "users")
    of: dict[tuple[str, str], dict[str, Result]] = {}
    for result in report.results:
        of.setdefault((result.case, result.strategy), {})[result.metric] = result
    for (case, strategy), found in of.items():
        values = (_shown(found[metric]) for metric in metrics)
        yield (case.replace("_", " "), strategy, *values, f"{next(iter(found.values())).users:,}")


def _shown(result: Result) -> str:
    return f"{result.mean:.3f}" + (f" ±{result.std:.3f}".replace("±0", "±") if result.std else "")


def _summarise(key: Key, measured: Sequence[Measured]) -> Result:
    means = [value.mean for value in measured]
    std = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    users = round(float(np.mean([value.users for value in measured])))
    return Result(*key, mean=float(np.mean(means)), std=std, users=users)
