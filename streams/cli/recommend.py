"""``dch recommend``: ask the running service for one user's list."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.options import CONNECTION, with_settings
from streams.errors import StreamError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.messages import RecommendReply


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch recommend u1 -k 10 --json")(
        with_settings(recommend, (*CONNECTION, "request_timeout_s"))
    )


def recommend(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Id of the user; one nobody knows is no error.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Length of the list.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the reply as JSON.")] = False,
    *,
    settings: Settings,
) -> None:
    """Send a request over Kafka and print the reply of the worker that owns this user."""
    from streams.client import RecommendClient
    from streams.messages import ErrorReply, RecommendRequest, encode_reply

    with RecommendClient(settings) as asker:
        reply = asker.ask(RecommendRequest(user=user, k=k))
    if isinstance(reply, ErrorReply):
        raise StreamError(f"the worker refused: {reply.error}")
    if json:
        typer.echo(encode_reply(reply))
    else:
        _print(reply)


def _print(reply: "RecommendReply") -> None:
    table = Table("", "item", "title", "distance", "score")
    for rank, item in enumerate(reply.items, start=1):
        table.add_row(str(rank), item.item, item.title or "", _shown(item.distance), f"{item.score:.2f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"generation {reply.generation}, strategy {reply.strategy}, "
        f"newest rating known {reply.staleness_s:.1f} s ago"
    )
    if reply.strategy == "popular":
        console.print("nothing is known of this user yet, so these are the most popular items")


def _shown(distance: int | None) -> str:
    return "-" if distance is None else str(distance)
