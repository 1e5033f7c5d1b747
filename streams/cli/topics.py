"""``dch topics create`` and ``dch topics check``."""

import typer
from rich.console import Console

from streams.cli.options import TOPICS, with_settings
from streams.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Create the topics, or check that they are as needed.")
    group.command(epilog="Example: dch topics create --bootstrap-servers localhost:9092 --partitions 4")(
        with_settings(create, TOPICS)
    )
    group.command(epilog="Example: dch topics check --prefix shop-")(with_settings(check, TOPICS))
    app.add_typer(group, name="topics")


def create(*, settings: Settings) -> None:
    """Create the topics that are missing; those that exist are not changed, only checked."""
    from streams import topics
    from streams.kafka import Admin

    admin, console = Admin(settings), Console(soft_wrap=True, highlight=False)
    made = topics.create(admin, settings)
    for name in made:
        console.print(f"created {name}")
    topics.require(admin, settings)
    console.print(f"{len(topics.EVERY_TOPIC)} topics are as needed, {len(made)} of them new")


def check(*, settings: Settings) -> None:
    """Say whether every topic exists with the partitions and settings that are needed; exit code 2 if not."""
    from streams import topics
    from streams.kafka import Admin

    topics.require(Admin(settings), settings)
    Console(soft_wrap=True, highlight=False).print(f"{len(topics.EVERY_TOPIC)} topics are as needed")
