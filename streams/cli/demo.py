"""``dch demo``: the whole service on this machine, on real ratings, in a few minutes."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch demo --data ./my-ratings --keep")(demo)


def demo(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder or file of ratings; default: MovieLens-100K.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running and say what to try.")
    ] = False,
) -> None:
    """Fit, start broker, worker and trainer, stream ratings, refit on the way, and show lists changing."""
    from streams.demo.main import run

    run(data, keep=keep)
