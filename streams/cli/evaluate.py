"""``dch evaluate``: measure on a file of ratings, or on a split that somebody else made."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from streams.cli.files import require_input
from streams.errors import SettingsError

if TYPE_CHECKING:
    from dch.config import DchConfig
    from dch.evaluation import Report

PIPED_WIDTH = 80  # a file has no width of its own
PROTOCOLS = ("holdout", "prequential")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = (
        "Examples: dch evaluate ratings.csv.gz --seeds 0,1,2 --json out.json; "
        "dch evaluate --train A.csv --test B.csv --relevant-from 4"
    )
    app.command(epilog=epilog)(evaluate)


def evaluate(
    ratings: Annotated[
        Path | None,
        typer.Argument(metavar="[RATINGS]", help="File of ratings, split here.", show_default=False),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Training file of a given split.")
    ] = None,
    test: Annotated[Path | None, typer.Option(metavar="FILE", help="Test file of a given split.")] = None,
    bits: Annotated[int, typer.Option(help="Length of a code; a multiple of 8.")] = 64,
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="One fit for each.")] = "0,1,2",
    objective: Annotated[str, typer.Option(help="What is learned: ranking or rating.")] = "ranking",
    protocol: Annotated[str, typer.Option(help="holdout or prequential.")] = PROTOCOLS[0],
    relevant_from: Annotated[
        float | None,
        typer.Option(help="Ratings from here on are relevant; 0 counts every one.", show_default=False),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report as JSON.")] = None,
) -> None:
    """Fit, recommend and measure hit, NDCG and recall at 20, for codes, codes reranked, and popularity."""
    from dch.config import DchConfig
    from dch.errors import RatingsError

    config = DchConfig(bits=bits, objective=objective)  # type: ignore[arg-type] # it checks by itself
    numbers = parse_seeds(seeds)
    if json is not None:
        _require_writable(json)  # before the work, not after it
    if ratings is not None and train is None and test is None:
        report = _split_here(ratings, config, numbers, protocol, relevant_from)
    elif ratings is None and train is not None and test is not None:
        report = _split_given(train, test, config, numbers, relevant_from)
    else:
        raise SettingsError(
            "give either a file of ratings, or both --train and --test; see dch evaluate --help"
        )
    if not any(result.users for result in report.results):
        raise RatingsError(
            "nothing to measure: no user has a relevant rating in the test part of an item not rated before; "
            "give more ratings, or lower --relevant-from"
        )
    if json is not None:
        json.write_text(report.to_json() + "\n")
    _print(report)


def _split_here(
    path: Path, config: "DchConfig", seeds: Sequence[int], protocol: str, relevant_from: float | None
) -> "Report":
    from dch import Ratings
    from dch.evaluation import evaluate_holdout, evaluate_prequential

    if protocol not in PROTOCOLS:
        raise SettingsError(f"--protocol must be {' or '.join(PROTOCOLS)}, got {protocol!r}")
    require_input(path)
    measure = evaluate_holdout if protocol == "holdout" else evaluate_prequential
    return measure(Ratings.read(path), config, seeds=seeds, relevant_from=relevant_from, progress=True)


def _split_given(
    train: Path, test: Path, config: "DchConfig", seeds: Sequence[int], relevant_from: float | None
) -> "Report":
    from dch import Ratings
    from dch.evaluation import evaluate_fixed_split

    require_input(train)
    require_input(test)
    parts = Ratings.read(train), Ratings.read(test)
    return evaluate_fixed_split(*parts, config, seeds=seeds, relevant_from=relevant_from, progress=True)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that an option names, such as ``0,1,2``.

    Raises:
        SettingsError: they are not whole numbers of zero or more.
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds must be whole numbers with commas between, got {text!r}") from None
    if min(found) < 0:
        raise SettingsError(f"--seeds must not be negative, got {text!r}")
    return found


def _require_writable(path: Path) -> None:
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise SettingsError(f"--json {path} cannot be written: {error.strerror}") from error


def _print(report: "Report") -> None:
    from dch.evaluation import table_rows

    header, *rows = table_rows(report)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in header:
        table.add_column(name, no_wrap=name != "case", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)
    console.print(f"fit in {report.fit_seconds:.1f} s")
