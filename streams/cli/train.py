"""``dch train``: fit a model to a file of ratings, no Kafka needed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.cli.files import require_input, require_output


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch train ratings.csv.gz --out ./model --bits 64")(train)


def train(
    ratings: Annotated[
        Path, typer.Argument(metavar="RATINGS", help="File of ratings, or a folder with one.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write the model to.")],
    bits: Annotated[int, typer.Option(help="Length of a code; a multiple of 8.")] = 64,
    objective: Annotated[str, typer.Option(help="What is learned: ranking or rating.")] = "ranking",
    seed: Annotated[int, typer.Option(help="Start of every random draw.")] = 0,
) -> None:
    """Fit the towers to ratings and save them with the codes of all users and items."""
    from dch import Ratings, Recommender
    from dch.config import DchConfig

    config = DchConfig(bits=bits, objective=objective, seed=seed)  # type: ignore[arg-type] # it checks by itself
    require_input(ratings)
    found, console = Ratings.read(ratings), Console(soft_wrap=True, highlight=False)
    console.print(f"{len(found):,} ratings of {found.n_items:,} items by {found.n_users:,} users")
    require_output(out)
    recommender = Recommender.fit(found, config=config, progress=True)
    recommender.save(out)
    console.print(f"saved generation {recommender.model.generation} to {out}")
