"""``dch inspect``: what the topics hold about one user or one item, and what a worker answers."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from streams.cli.options import with_settings
from streams.cli.texts import time_text
from streams.errors import ReplyTimeout
from streams.settings import ClientSettings

if TYPE_CHECKING:
    from streams.cli.held import Held
    from streams.kafka.records import Record
    from streams.messages import ErrorReply, RecommendReply
    from streams.topics import Topic

N_ANSWERED = 5
"""Length of the list that a worker is asked for."""

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, as text.")]
NShown = Annotated[int, typer.Option("-n", min=0, help="Number of newest ratings to print.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    inspect = typer.Typer(no_args_is_help=True, help="Show what is held about one user or one item.")
    inspect.command("user", epilog="Example: dch inspect user u1 --prefix shop-")(
        with_settings("inspect user", inspect_user)
    )
    inspect.command("item", epilog="Example: dch inspect item i9 --prefix shop- --json | jq .code")(
        with_settings("inspect item", inspect_item)
    )
    app.add_typer(inspect, name="inspect")


def inspect_user(id_: Id, n: NShown = 10, as_json: AsJson = False, *, settings: ClientSettings) -> None:
    """Print the ratings, features, tombstones and dead letters of a user, and what a worker answers.

    It reads ratings, users and items whole, to the ends that they have now.
    """
    _show("user", id_, n, settings, as_json=as_json)


def inspect_item(id_: Id, n: NShown = 10, as_json: AsJson = False, *, settings: ClientSettings) -> None:
    """Print the ratings, features, code and dead letters of an item, and which items a worker finds similar.

    It reads ratings, users, items and item-codes whole, to the ends that they have now.
    """
    _show("item", id_, n, settings, as_json=as_json)


def _show(side: str, id_: str, n: int, settings: ClientSettings, *, as_json: bool) -> None:
    from streams import topics
    from streams.cli.held import DEAD_LETTERS, held_of
    from streams.kafka import Admin

    read = (topics.RATINGS, topics.USERS, topics.ITEMS, topics.ITEM_CODES)
    topics.require(Admin(settings), settings, (*read, *(topic.dead_letters for topic in DEAD_LETTERS[side])))
    read_all = partial(_records, settings=settings)
    held = held_of(side, id_, read_all, settings.partitions, settings.key_form)
    answer = _answer(side, id_, settings)
    if as_json:
        found = {**msgspec.to_builtins(held), "available": held.is_available, "answer": answer}
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _print(Console(highlight=False), held, answer, n, settings.partitions)


def _records(topic: "Topic", settings: ClientSettings) -> Iterator["Record"]:
    """Yield all records of a topic, with a progress bar on standard error."""
    from streams.kafka import BEGINNING, Consumer, Partition, Patience
    from streams.kafka.replay import read_to_end

    places = [Partition(settings.topic(topic.name), number) for number in range(settings.partitions)]
    group, patience = f"{settings.prefix}inspect", Patience(settings.broker_timeout_s)
    with closing(Consumer(settings, group=group, start="earliest", fill_s=0, patience=patience)) as consumer:
        total = sum(consumer.end_offsets(places).values()) - sum(consumer.beginning_offsets(places).values())
        records = read_to_end(consumer, dict.fromkeys(places, BEGINNING))
        bar = Console(stderr=True)
        yield from track(
            records, topic.name, total=total, console=bar, transient=True, disable=not bar.is_terminal
        )


def _answer(side: str, id_: str, settings: ClientSettings) -> "RecommendReply | ErrorReply | str":
    """Return the reply of a worker, or why there is none."""
    from streams.client import RecommendClient
    from streams.messages import RecommendRequest

    user, item = (id_, None) if side == "user" else (None, id_)
    with RecommendClient(settings) as client:
        try:
            return client.ask(RecommendRequest(user=user, similar_to=item, k=N_ANSWERED))
        except ReplyTimeout as error:
            return str(error)


def _print(
    console: Console, held: "Held", answer: "RecommendReply | ErrorReply | str", n: int, partitions: int
) -> None:
    console.print(f"{held.side} {held.id}: partition {held.owner} of {partitions}", markup=False)
    for name, text in (*_facts(held), ("worker", _answer_text(answer)), ("note", _difference(held, answer))):
        if text:
            console.print(f"{name:<13}{text}", markup=False)
    if held.ratings[:n]:
        console.print(_table(held, n))


def _facts(held: "Held") -> Iterator[tuple[str, str]]:
    """Yield what is held about an id as lines: a name and a text; an empty text is left out."""
    features = ", ".join(f"{name}={value}" for name, value in (held.features or {}).items())
    yield "features", features or "none"
    if held.tombstone_at is not None:
        yield "tombstone", f"{time_text(held.tombstone_at)}; ratings up to then do not count"
    misrouted = f" ({held.n_misrouted} of them outside the partition of the user)" * bool(held.n_misrouted)
    void = f"; {held.n_void} withdrawn or forgotten" * bool(held.n_void)
    yield "ratings", f"{len(held.ratings)} live, {held.n_records} records{misrouted}{void}"
    if held.side == "item":
        yield "available", "yes" if held.is_available else "no, it is never listed"
        yield "code", _code_text(held)
    letters = ", ".join(f"{count} on {topic}" for topic, count in held.dead_letters.items())
    yield "dead letters", letters or "none"


def _code_text(held: "Held") -> str:
    code = held.code
    if code is None:
        return "none; a worker publishes one when the model knows a user who rated the item, or its features"
    return (
        f"{code.code} of generation {code.generation} ({code.generation_hash}), made of {code.ratings} "
        f"ratings, {code.positives} of them positive"
    )


def _answer_text(answer: "RecommendReply | ErrorReply | str") -> str:
    from streams.messages import ErrorReply

    if isinstance(answer, str):
        return answer
    if isinstance(answer, ErrorReply):
        return f"error: {answer.error}"
    counted = "" if answer.ratings is None else f", {answer.ratings} ratings"
    code = "" if answer.code is None else f", code {answer.code}"
    items = ", ".join(found.title or found.item for found in answer.items) or "an empty list"
    model = f"generation {answer.generation} ({answer.generation_hash})"
    return f"{model}, {answer.strategy}{counted}{code}: {items}"


def _difference(held: "Held", answer: "RecommendReply | ErrorReply | str") -> str:
    """Return a sentence if the worker counts other ratings than the topics hold, else an empty text."""
    counted = getattr(answer, "ratings", None)
    if counted is None or counted == len(held.ratings):
        return ""
    return (
        f"the worker has applied {counted} ratings, the topics hold {len(held.ratings)}; ratings may have "
        "come meanwhile, or it is behind: dch status"
    )


def _table(held: "Held", n: int) -> Table:
    is_user = held.side == "user"
    table = Table("item" if is_user else "user", *(["title"] * is_user), "rating", "time (UTC)")
    for found in held.ratings[:n]:
        cells = [found.item, found.title or ""] if is_user else [found.user]
        table.add_row(*map(escape, cells), f"{found.value:g}", time_text(found.timestamp))
    return table
