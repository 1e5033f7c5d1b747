"""``dch trainer``: fit and refit the towers on all ratings so far."""

from typing import Annotated

import typer

from streams.cli.options import EVERY, with_settings
from streams.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: dch trainer --artifacts ./artifacts --refit-ratings 50000"
    app.command(epilog=epilog)(with_settings(trainer, EVERY))


def trainer(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Fit or refit once on what is there, and end.")
    ] = False,
    settings: Settings,
) -> None:
    """Refit after so many ratings or seconds, and publish each generation that is good enough."""
    from streams.cli.logs import log_to_stderr
    from streams.trainer import run

    log_to_stderr()
    run(settings, once=once)
