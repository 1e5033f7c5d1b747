"""``dch worker``: serve one share of the users."""

import typer

from streams.cli.options import EVERY, with_settings
from streams.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = (
        "Example: dch worker --bootstrap-servers localhost:9092 --artifacts ./artifacts --metrics-port 9101"
    )
    app.command(epilog=epilog)(with_settings(worker, EVERY))


def worker(*, settings: Settings) -> None:
    """Read ratings, keep codes fresh and answer requests, until Ctrl-C. Start more to share the users out."""
    from streams.cli.logs import log_to_stderr
    from streams.worker import run

    log_to_stderr()
    run(settings)
