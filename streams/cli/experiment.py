"""``dch experiment``: run the published experiments and measure the goals; writes tables and plots."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streams.cli.checks import PIPED_WIDTH, create_folder, parse_seeds
from streams.errors import SettingsError

if TYPE_CHECKING:
    from dch.experiments.plan import Plan
    from dch.experiments.runner import Run

DATA_SETS = ("ml-1m", "amazon-books", "yelp", "amazon-timed")
QUICK_DATA = "ml-100k"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = (
        "Examples: dch experiment out --quick; dch experiment results --data ~/ratings; "
        "dch experiment results --data ~/ratings --only tables,length --seeds 0"
    )
    app.command(epilog=epilog)(experiment)


def experiment(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Output folder; created if missing, resumed if present.")
    ],
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Check in a few minutes on MovieLens-100K that every job runs; the fits are too short for "
            "useful figures.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="DCH_DATA",
            help=f"Folder of the data sets; holds any of the folders {', '.join(DATA_SETS)}.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str,
        typer.Option(
            metavar="3,4,5",
            help="Random seeds; one split and one fit for each. Default: 3,4,5, those of the goals; with "
            "--quick: 0.",
            show_default=False,
        ),
    ] = "",
    only: Annotated[
        str | None,
        typer.Option(
            metavar="PART,PART",
            help="Parts to run: goals, tables, length, cold, drift; or some of their jobs: 'tables/yelp', "
            "'goals/*/ials'. Other parts are shown with the results of earlier runs.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of fits and searches.", show_default="number of cores")
    ] = None,
) -> None:
    """Run every experiment and write tables, plots and an index to OUT/README.md.

    Finished jobs are cached in OUT/jobs.json.gz, so an interrupted run resumes. Failed jobs are reported; the
    rest still run, and the exit code is 1. On two cores, all jobs together take two to three hours.
    """
    from dch.experiments.parts import PARTS, check_names
    from dch.experiments.provenance import origin_of
    from dch.experiments.runner import run_experiment

    plan = _plan(out, quick, data, seeds, threads)
    if not str(out).strip("."):
        raise SettingsError(f"OUT must be a folder for the results only, got {str(out)!r}")
    names = [part.strip() for part in only.split(",")] if only is not None else list(PARTS)
    check_names(names)
    create_folder(out)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else PIPED_WIDTH)
    origin = origin_of(shlex.join(["dch", *sys.argv[1:]]))
    run = run_experiment(plan, PARTS, origin, only=names, console=console)
    _print(run, out)
    if run.failed:
        raise typer.Exit(1)


def _plan(out: Path, quick: bool, data: Path | None, seeds: str, threads: int | None) -> "Plan":
    from dch.config import DchConfig
    from dch.experiments.plan import Plan

    given = seeds or ("0" if quick else "")
    numbers = tuple(parse_seeds(given)) if given else Plan.seeds
    if quick:  # too few steps to learn anything
        config = DchConfig(steps=20, hidden=128, batch=256, sampled_items=400, threads=threads)
        return Plan(_quick_data(), out, numbers, quick, config)
    return Plan(_data(data), out, numbers, quick, DchConfig(threads=threads))


def _quick_data() -> Mapping[str, Path]:
    from streams.demo.demo_data import wheel_data

    return {QUICK_DATA: wheel_data("run without --quick on your own data: --data DIR")}


def _data(folder: Path | None) -> Mapping[str, Path]:
    """Return the data sets in a folder, by name."""
    if folder is None:
        raise SettingsError(
            f"give the folder of the data sets by --data DIR or DCH_DATA; it holds any of the folders "
            f"{', '.join(DATA_SETS)}, each with ratings.csv.gz; or try --quick, which needs no data"
        )
    found = {name: folder / name for name in DATA_SETS if (folder / name).is_dir()}
    if not found:
        raise SettingsError(
            f"{folder} holds none of the folders {', '.join(DATA_SETS)}; each of them has a file "
            "ratings.csv.gz: user,item,rating[,timestamp]; or try --quick, which needs no data"
        )
    return found


def _print(run: "Run", out: Path) -> None:
    """Show the goals and how the run ended."""
    from dch.experiments.job_progress import duration
    from dch.experiments.reports.page import Table
    from dch.experiments.reports.table_text import to_rich

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    for page in run.pages:
        if page.name == "goals" and isinstance(page, Table):
            console.print(to_rich(page))
    seconds = sum(result.seconds for result in run.results.values())
    console.print(
        f"{len(run.results)} jobs are finished, {run.n_new} of them by this run; "
        f"all together took {duration(seconds)}"
    )
    for what, reason in run.failed.items():
        console.print(f"failed: {what}: {reason}", markup=False, soft_wrap=True)
    console.print(f"all tables and plots: {out / 'README.md'}", soft_wrap=True)
