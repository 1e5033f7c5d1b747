"""``dch broker start``: the embedded broker, in the foreground."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="The embedded broker, for demos and tests.")
    group.command(epilog="Example: dch broker start --data ./broker-data --port 9092")(start)
    group.callback()(lambda: None)  # a group, though it has one command
    app.add_typer(group, name="broker")


def start(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder that keeps topics and offsets.")],
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of 127.0.0.1; 0 takes a free one.")
    ] = 9092,
) -> None:
    """Run a small broker that speaks Kafka's protocol, until Ctrl-C.

    One process, no replication: for production point --bootstrap-servers at Apache Kafka instead.
    """
    from streams.cli.logs import log_to_stderr
    from streams.demo.broker.embedded import run

    log_to_stderr()
    console = Console(soft_wrap=True, highlight=False)
    run(data, port, lambda address: console.print(f"broker ready at {address}, data in {data}"))
