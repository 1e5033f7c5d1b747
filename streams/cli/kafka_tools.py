"""``dch broker``, ``dch topics``, ``dch publish`` and ``dch recommend``: tools around the service."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from streams.cli.checks import require_input
from streams.cli.file_options import with_file_options
from streams.cli.options import log_to_stderr, with_settings
from streams.cli.texts import counted
from streams.errors import StreamError
from streams.settings import ClientSettings, KafkaSettings

if TYPE_CHECKING:
    from dch import Ratings
    from streams.messages import RecommendReply

CREATE_EXAMPLE = "Example: dch topics create --bootstrap-servers localhost:9092 --partitions 4"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    broker = typer.Typer(no_args_is_help=True, help="Run the embedded broker, for demos and tests.")
    broker.command("start", epilog="Example: dch broker start --data ./broker-data --port 9092")(start_broker)
    broker.callback()(lambda: None)  # without it, typer drops the name of the only command of a group
    app.add_typer(broker, name="broker")

    topics = typer.Typer(no_args_is_help=True, help="Create the topics, or check the existing ones.")
    topics.command("create", epilog=CREATE_EXAMPLE)(with_settings("topics create", create_topics))
    topics.command("check", epilog="Example: dch topics check --prefix shop-")(
        with_settings("topics check", check_topics)
    )
    app.add_typer(topics, name="topics")

    app.command(epilog="Example: dch publish ratings.csv.gz --rate 1000")(
        with_settings("publish", with_file_options(publish))
    )
    app.command(epilog="Example: dch recommend u1 -k 10 --json")(with_settings("recommend", recommend))


def start_broker(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder that keeps topics and offsets.")],
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 picks a free one.")
    ] = 9092,
) -> None:
    """Run a small broker that speaks the Kafka protocol, until Ctrl-C.

    It is one process without replication, and writes records a second or
    so after it has acknowledged them: if it is killed, these are lost.
    In production, point --bootstrap-servers at Apache Kafka instead.
    """
    from streams.demo.broker.embedded import run

    log_to_stderr()
    console = Console(soft_wrap=True, highlight=False)
    run(data, port, lambda address: console.print(f"broker ready at {address}, data in {data}"))


def create_topics(*, settings: KafkaSettings) -> None:
    """Create the missing topics and check the existing ones, which are never changed."""
    from streams import topics
    from streams.kafka import Admin

    admin, console = Admin(settings), Console(soft_wrap=True, highlight=False)
    created = topics.create(admin, settings)
    for name in created:
        console.print(f"created {name}")
    topics.require(admin, settings)
    console.print(f"{len(topics.EVERY_TOPIC)} topics match their definitions, {len(created)} of them new")
    _warn(topics.unknown(admin, settings))


def check_topics(*, settings: KafkaSettings) -> None:
    """Check that every topic exists with the right partitions and settings; the exit code is 2 if not."""
    from streams import topics
    from streams.kafka import Admin

    admin = Admin(settings)
    topics.require(admin, settings)
    Console(soft_wrap=True, highlight=False).print(
        f"{len(topics.EVERY_TOPIC)} topics match their definitions"
    )
    _warn(topics.unknown(admin, settings))


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        typer.echo(f"warning: {sentence}", err=True)


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of ratings, or a folder with one.")],
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="Ratings per second; default: as fast as possible."),
    ] = None,
    ratings_only: Annotated[
        bool,
        typer.Option("--ratings-only", help="Do not publish the features of users and items."),
    ] = False,
    *,
    file_options: Mapping[str, Any],
    settings: KafkaSettings,
) -> None:
    """Publish a file of ratings to Kafka in time order, after the features from files in the same folder."""
    from dch import Ratings
    from streams import topics
    from streams.errors import TimeRefusedError
    from streams.kafka import Admin
    from streams.kafka.clock import seconds_ahead, too_far_ahead

    require_input(file)
    ratings = Ratings.read(file, **file_options)
    if not len(ratings):
        _warn([f"{file} holds no ratings"])
    topics.require(Admin(settings), settings, (topics.RATINGS, topics.USERS, topics.ITEMS))
    try:
        n_users, n_items = _publish(ratings, settings, rate, with_features=not ratings_only)
    except TimeRefusedError as error:
        raise TimeRefusedError(too_far_ahead(seconds_ahead(settings))) from error
    sizes = counted(len(ratings), "rating"), counted(n_users, "user"), counted(n_items, "item")
    Console(soft_wrap=True, highlight=False).print("published {}, {} and {}".format(*sizes))


def _publish(
    ratings: "Ratings", settings: KafkaSettings, rate: float | None, *, with_features: bool
) -> tuple[int, int]:
    """Publish features, then ratings; return the number of users and items with features."""
    from streams import publish, topics
    from streams.kafka import Producer

    producer, n_users, n_items = Producer(settings), 0, 0
    publish.require_readable(ratings)
    if with_features:
        users, items = settings.topic(topics.USERS.name), settings.topic(topics.ITEMS.name)
        n_users = publish.publish_features(ratings.user_features, producer, users, settings.key_form)
        n_items = publish.publish_features(ratings.item_features, producer, items, settings.key_form)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("ratings", total=len(ratings))
        pace = publish.Pace(rate)
        publish.publish_ratings(
            ratings, producer, settings, pace=pace, advance=lambda n: progress.advance(task, n)
        )
    return n_users, n_items


def recommend(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Id of the user; an unknown user gets popular items.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Length of the list.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the reply as JSON.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also show the rated items that speak for each item.")
    ] = False,
    *,
    settings: ClientSettings,
) -> None:
    """Send a request over Kafka and print the reply of the worker that owns the user's partition."""
    from streams.client import RecommendClient
    from streams.messages import ErrorReply, RecommendRequest, encode_reply

    with RecommendClient(settings) as client:
        reply = client.ask(RecommendRequest(user=user, k=k, explain=explain))
    if isinstance(reply, ErrorReply):
        raise StreamError(f"the worker refused the request: {reply.error}")
    if json:
        typer.echo(encode_reply(reply))
    else:
        _print(reply, explain=explain)


def _print(reply: "RecommendReply", *, explain: bool) -> None:
    table = Table("", "item", "title", "distance", "score", *(["because you rated"] if explain else []))
    for rank, item in enumerate(reply.items, start=1):
        distance = "-" if item.distance is None else str(item.distance)
        reasons = [f"{one.title or one.item} ({one.share:.0%})" for one in item.because]
        because = [", ".join(reasons)] if explain else []
        table.add_row(str(rank), item.item, item.title or "", distance, f"{item.score:.2f}", *because)
    console = Console(highlight=False)
    console.print(table)
    counted = "" if reply.ratings is None else f"ratings of this user {reply.ratings}, "
    console.print(
        f"generation {reply.generation}, strategy {reply.strategy}, {counted}"
        f"newest applied rating {reply.staleness_s:.1f} s old"
    )
    if reply.strategy == "popular":
        known = "the model can use no rating of this user" if reply.ratings else "this user has no ratings"
        console.print(f"{known} yet, so these are the most popular items")
    elif reply.strategy == "features" and not reply.code:
        console.print(
            "no rating of this user can be used yet, so these are popular items, by the user's features"
        )
