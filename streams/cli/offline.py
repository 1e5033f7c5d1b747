"""``dch train`` and ``dch evaluate``: fit and measure on files of ratings, without Kafka."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from streams.cli.checks import (
    PIPED_WIDTH,
    parse_neighbours,
    parse_seeds,
    require_input,
    require_model_folder,
    require_writable,
)
from streams.cli.file_options import with_file_options
from streams.cli.texts import counted
from streams.errors import SettingsError

if TYPE_CHECKING:
    from dch import Ratings
    from dch.config import DchConfig
    from dch.evaluation import Report

PROTOCOLS = ("holdout", "prequential")

NEIGHBOURS_HELP = (
    "Items whose ratings speak for an item, beside its code: a number, 0 for none; auto: 32 if they help."
)

EVALUATE_EXAMPLES = (
    "Examples: dch evaluate ratings.csv.gz --seeds 0,1,2 --json out.json; "
    "dch evaluate --train A.csv --test B.csv --relevant-from 4"
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: dch train ratings.csv.gz --out ./model --bits 64")(with_file_options(train))
    app.command(epilog=EVALUATE_EXAMPLES)(with_file_options(evaluate))


def train(
    ratings: Annotated[
        Path, typer.Argument(metavar="RATINGS", help="File of ratings, or a folder with one.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to save the model to.")],
    bits: Annotated[int, typer.Option(help="Code length in bits; a multiple of 8.")] = 64,
    objective: Annotated[str, typer.Option(help="Objective of the fit: ranking or rating.")] = "ranking",
    seed: Annotated[int, typer.Option(help="Random seed of the fit.")] = 0,
    threads: Annotated[
        int,
        typer.Option(
            help="Threads of the fit. More are slower on a machine that does other work, unless the variable "
            "OMP_WAIT_POLICY is PASSIVE."
        ),
    ] = 1,
    neighbours: Annotated[str, typer.Option(metavar="K|auto", help=NEIGHBOURS_HELP)] = "auto",
    *,
    file_options: Mapping[str, Any],
) -> None:
    """Fit a model to a file of ratings and save it with the codes of all users and items."""
    from dch import Recommender
    from dch.config import DchConfig
    from dch.training.rating_weights import RatingScale, describe

    config = DchConfig(
        bits=bits,
        objective=objective,  # type: ignore[arg-type] # DchConfig checks it
        seed=seed,
        threads=threads,
        neighbours=parse_neighbours(neighbours),
    )
    found, console = _read(ratings, file_options), Console(soft_wrap=True, highlight=False)
    sizes = counted(len(found), "rating"), counted(found.n_items, "item"), counted(found.n_users, "user")
    console.print("{} of {} by {}".format(*sizes))
    require_model_folder(out)
    recommender = Recommender.fit(found, config=config, progress=True)
    recommender.save(out)
    scale = RatingScale(recommender.model.rating_knots, recommender.model.positive_from)
    console.print(describe(scale, found.values, found.users), markup=False)
    console.print(f"saved generation {recommender.model.generation} to {out}", markup=False)
    ask = f"Recommender.load({str(out)!r}).recommend({found.user_ids[0]!r}, k=20)"
    console.print(f"to use it, in Python: from dch import Recommender; {ask}", markup=False)


def evaluate(
    ratings: Annotated[
        Path | None,
        typer.Argument(
            metavar="RATINGS",
            help="File of ratings, or a folder with one; split by --protocol.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Training file of a fixed split.")
    ] = None,
    test: Annotated[Path | None, typer.Option(metavar="FILE", help="Test file of a fixed split.")] = None,
    bits: Annotated[int, typer.Option(help="Code length in bits; a multiple of 8.")] = 64,
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="Random seeds; one fit for each.")] = "0,1,2",
    objective: Annotated[str, typer.Option(help="Objective of the fit: ranking or rating.")] = "ranking",
    neighbours: Annotated[str, typer.Option(metavar="K|auto", help=NEIGHBOURS_HELP)] = "auto",
    protocol: Annotated[str, typer.Option(help="How to split RATINGS: holdout or prequential.")] = PROTOCOLS[
        0
    ],
    relevant_from: Annotated[
        float | None,
        typer.Option(
            help="Lowest test rating that is relevant; 0 makes all relevant; default: the positive ratings.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report as JSON.")] = None,
    *,
    file_options: Mapping[str, Any],
) -> None:
    """Fit a model, recommend, and measure hit rate, NDCG and recall at 20.

    It measures lists by codes, by reranked codes, by popularity, and with neighbours if the model has them.
    """
    from dch.config import DchConfig
    from dch.errors import RatingsError

    config = DchConfig(
        bits=bits,
        objective=objective,  # type: ignore[arg-type] # DchConfig checks it
        neighbours=parse_neighbours(neighbours),
    )
    numbers = parse_seeds(seeds)
    if json is not None:
        require_writable(json)  # before the fit, not after it
    if ratings is not None and train is None and test is None:
        report = _split_here(ratings, file_options, config, numbers, protocol, relevant_from)
    elif ratings is None and train is not None and test is not None:
        report = _fixed_split((train, test), file_options, config, numbers, relevant_from)
    else:
        raise SettingsError(
            "give either a file of ratings, or both --train and --test; see dch evaluate --help"
        )
    if not any(result.users for result in report.results):
        raise RatingsError(
            "nothing to measure: no user has a relevant test rating of an item that is not in the user's "
            "training ratings; give more ratings, or lower --relevant-from"
        )
    if json is not None:
        json.write_text(report.to_json() + "\n")
    _print(report)


def _split_here(
    path: Path,
    file_options: Mapping[str, Any],
    config: "DchConfig",
    seeds: Sequence[int],
    protocol: str,
    relevant_from: float | None,
) -> "Report":
    from dch.evaluation import evaluate_holdout, evaluate_prequential

    if protocol not in PROTOCOLS:
        raise SettingsError(f"--protocol must be {' or '.join(PROTOCOLS)}, got {protocol!r}")
    measure = evaluate_holdout if protocol == "holdout" else evaluate_prequential
    return measure(_read(path, file_options), config, seeds=seeds, relevant_from=relevant_from, progress=True)


def _fixed_split(
    paths: tuple[Path, Path],
    file_options: Mapping[str, Any],
    config: "DchConfig",
    seeds: Sequence[int],
    relevant_from: float | None,
) -> "Report":
    from dch.evaluation import evaluate_fixed_split

    for path in paths:
        require_input(path)
    train, test = (_read(path, file_options) for path in paths)
    return evaluate_fixed_split(train, test, config, seeds=seeds, relevant_from=relevant_from, progress=True)


def _read(path: Path, file_options: Mapping[str, Any]) -> "Ratings":
    """Read ratings; a file without any would be named by none of the errors that follow.

    Raises:
        SettingsError: there is no such file, or it holds no ratings.
        RatingsError: it cannot be read.
    """
    from dch import Ratings

    require_input(path)
    found = Ratings.read(path, **file_options)
    if not len(found):
        raise SettingsError(f"{path} holds no ratings; give a file with at least one")
    return found


def _print(report: "Report") -> None:
    from dch.evaluation import legend, table_rows

    header, *rows = table_rows(report)
    table = Table(box=box.SIMPLE, padding=0, show_edge=False)  # fits in 80 columns
    for name in header:
        table.add_column(name, no_wrap=name != "case", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)
    for line in legend(report):
        console.print(line, style="dim", markup=False)
    console.print(f"fit in {report.fit_seconds:.1f} s")
