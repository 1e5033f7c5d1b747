"""``dch publish``: send a file of ratings to Kafka as a live stream."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from streams.cli.files import require_input
from streams.cli.options import TOPICS, with_settings
from streams.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch publish ratings.csv.gz --rate 1000")(
        with_settings(publish, (*TOPICS, "linger_ms", "delivery_timeout_s"))
    )


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of ratings, or a folder with one.")],
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="Ratings a second; default: as fast as it goes."),
    ] = None,
    ratings_only: Annotated[
        bool,
        typer.Option("--ratings-only", help="Leave out the metadata of users and items beside the file."),
    ] = False,
    *,
    settings: Settings,
) -> None:
    """Send the ratings of a file in time order, keyed by user, after the metadata found beside it."""
    from dch import Ratings
    from streams import publish, topics
    from streams.kafka import Admin, Producer

    require_input(file)
    topics.require(Admin(settings), settings, (topics.RATINGS, topics.USERS, topics.ITEMS))
    ratings, producer = Ratings.read(file), Producer(settings)
    n_users = n_items = 0
    if not ratings_only:
        n_users = publish.publish_features(ratings.user_features, producer, settings.topic(topics.USERS.name))
        n_items = publish.publish_features(ratings.item_features, producer, settings.topic(topics.ITEMS.name))
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("ratings", total=len(ratings))
        pace = publish.Pace(rate)
        publish.publish_ratings(
            ratings, producer, settings, pace=pace, advance=lambda n: progress.advance(task, n)
        )
    Console(soft_wrap=True, highlight=False).print(
        f"published {len(ratings)} ratings, {n_users} users and {n_items} items"
    )
