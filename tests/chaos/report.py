"""The tables that a run prints, in Markdown."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Row:
    """One line of the table: what was done, how often, and the seconds to recover each time."""

    what: str
    times: int = 0
    seconds: list[float] = field(default_factory=list)


def print_tables(rows: Iterable[Row], counts: Iterable[tuple[str, object]], failures: list[str]) -> None:
    """Print what was done and what became of it; failures go to stderr."""
    print(
        "\n| what was done | times | seconds until all workers were ready (median, longest) |\n|---|---:|---|"
    )
    for row in rows:
        if row.times:
            seconds = f"{np.median(row.seconds):.1f}, {max(row.seconds):.1f}" if row.seconds else "-"
            print(f"| {row.what} | {row.times:,} | {seconds} |")
    print("\n| what became of it | count |\n|---|---:|")
    for what, count in counts:
        print(f"| {what} | {f'{count:,}' if isinstance(count, int) else count} |")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
