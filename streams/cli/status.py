"""``dch status``: processes, topics, lag and the newest model of a running service. It changes nothing."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.log_tools import newest, reader
from streams.cli.options import with_settings
from streams.errors import BadRecord, BrokerRefusedError, TopicError
from streams.settings import WorkerSettings

if TYPE_CHECKING:
    from streams.kafka import Admin, Consumer, Partition
    from streams.messages import ModelPointer

SHARED_BY = {"worker": "ratings", "trainer": "models", "observer": "served"}
"""The topic whose partitions the processes of each role share."""

COMMITTED_BY = {"ratings": "worker", "users": "worker", "item-ratings": "worker", "served": "observer"}
"""Topics whose committed offsets say what is unread, and the role that commits them."""

EVERY = sys.maxsize
"""Number of newest records that is all of them."""

Members = Sequence[int] | BrokerRefusedError
"""How many partitions of the shared topic each process of a role has, or why that is not known."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch status --prefix shop-")(with_settings("status", status))


def status(*, settings: WorkerSettings) -> None:
    """Print what the topics hold and what of it is unread, the processes of each role, and the newest model.

    Empty topics are left out of the table. Unread is what the workers, and of
    served the observers, have not committed: one that has stopped shows as
    growing lag. Processes are the members of the consumer group of their role;
    the trainer that has the partition of models is the active one. The
    endpoints /readyz and /metrics of each role say more.
    """
    from streams import topics
    from streams.kafka import Admin

    console, admin = Console(highlight=False, soft_wrap=True), Admin(settings)
    existing = admin.partitions()
    names = [settings.topic(one.name) for one in topics.EVERY_TOPIC]
    if missing := [name for name in names if name not in existing]:
        admin.require_rights(missing)
        if settings.topic(topics.MODELS.name) in missing:
            raise TopicError(topics.missing_text(missing, settings))
    members = {role: _members(admin, settings, role) for role in SHARED_BY}
    with ExitStack() as stack:
        consumers = {
            role: stack.enter_context(closing(reader(settings, _group(settings, role))))
            for role in ("worker", "observer")
            if role == "worker" or _n_known(members[role])
        }
        _print_topics(console, settings, existing, consumers)
        for role, found in members.items():
            console.print(_role_line(role, found))
        console.print(_model_line(_newest_pointer(consumers["worker"], settings)))
    if missing:
        raise TopicError(topics.missing_text(missing, settings))


def _print_topics(
    console: Console,
    settings: WorkerSettings,
    existing: Mapping[str, int],
    consumers: Mapping[str, "Consumer"],
) -> None:
    """Print a line for each topic that is missing or holds records, and the number of the others."""
    from streams import topics
    from streams.kafka import Partition

    table, n_empty = Table("topic", "partitions", "records", "unread", "worst partition"), 0
    for one in topics.EVERY_TOPIC:
        name, consumer = settings.topic(one.name), consumers.get(COMMITTED_BY.get(one.name, ""))
        places = [Partition(name, number) for number in range(existing.get(name, 0))]
        if not places:
            table.add_row(one.name, "missing", "", "", "")
        elif (cells := _cells(consumers["worker"], places, consumer))[1] != "0":
            table.add_row(one.name, *cells)
        else:
            n_empty += 1
    console.print(table, soft_wrap=False)
    if n_empty:
        console.print(f"{n_empty} empty topics are left out" if n_empty > 1 else "1 empty topic is left out")


def _cells(
    consumer: "Consumer", places: list["Partition"], committed_by: "Consumer | None"
) -> tuple[str, str, str, str]:
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    held = str(sum(ends[one] - begins[one] for one in places))
    if committed_by is None:
        return str(len(places)), held, "", ""
    committed = committed_by.committed(places)
    lags = {one.partition: max(ends[one] - max(committed[one], begins[one]), 0) for one in places}
    worst = max(lags, key=lambda number: lags[number])
    return str(len(places)), held, str(sum(lags.values())), f"{worst}: {lags[worst]}" if lags[worst] else "-"


def _group(settings: WorkerSettings, role: str) -> str:
    """Return the group of a role; ``--group`` is that of the workers."""
    return settings.group_of(role) if role == settings.role else f"{settings.prefix}{role}"


def _members(admin: "Admin", settings: WorkerSettings, role: str) -> Members:
    topic = settings.topic(SHARED_BY[role])
    try:
        return [one.get(topic, 0) for one in admin.members(_group(settings, role))]
    except BrokerRefusedError as error:
        return error


def _n_known(members: Members) -> int:
    return 0 if isinstance(members, BrokerRefusedError) else len(members)


def _role_line(role: str, members: Members) -> str:
    if isinstance(members, BrokerRefusedError):
        return f"{role}s: unknown; {members}"
    of_each = ", ".join(map(str, members))
    return (
        f"{role}s: {len(members)}, with partitions of {SHARED_BY[role]}: {of_each}"
        if members
        else f"{role}s: none"
    )


def _newest_pointer(consumer: "Consumer", settings: WorkerSettings) -> "ModelPointer | None":
    from streams import topics
    from streams.messages import decode_model_pointer

    # Bad records do not replace each other by key, so any number of them may come after the last pointer.
    for record in reversed(list(newest(consumer, settings.topic(topics.MODELS.name), 1, EVERY))):
        try:
            return decode_model_pointer(record)
        except BadRecord:
            continue
    return None


def _model_line(pointer: "ModelPointer | None") -> str:
    if pointer is None:
        return "no model was published yet; a trainer publishes the first one"
    age_s = time.time() - pointer.trained_at / 1000
    return f"newest model: generation {pointer.generation} at {pointer.location}, fitted {age_s:.0f} s ago"
