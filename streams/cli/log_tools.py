"""``dch tail`` and ``dch status``: look at the topics of a running service. They change nothing."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.options import with_settings
from streams.errors import BadRecord, SettingsError, TopicError
from streams.settings import KafkaSettings, WorkerSettings

if TYPE_CHECKING:
    from streams.kafka import Consumer, Partition
    from streams.kafka.records import Record
    from streams.messages import ModelPointer


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: dch tail ratings-dlt -n 5 | jq .headers")(with_settings("tail", tail))
    app.command(epilog="Example: dch status --prefix shop-")(with_settings("status", status))


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Name of a topic, without --prefix.")],
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Number of records.")] = 10,
    *,
    settings: KafkaSettings,
) -> None:
    """Print the newest records of a topic as JSON lines, oldest first.

    Values and keys that are not UTF-8 are shown in hexadecimal.
    """
    from streams import topics
    from streams.kafka import Admin

    names = [one.name for one in topics.EVERY_TOPIC]
    if topic not in names:
        raise SettingsError(f"there is no topic {topic!r}; topics are {', '.join(names)}")
    defined = next(one for one in topics.EVERY_TOPIC if one.name == topic)
    topics.require(Admin(settings), settings, (defined,))
    count = settings.partitions if defined.is_sharded else 1
    with closing(_reader(settings)) as consumer:
        found = sorted(_newest(consumer, settings.topic(topic), count, n), key=lambda one: one.timestamp_ms)
    for record in found[-n:]:
        typer.echo(json.dumps(as_json(record), ensure_ascii=False))


def as_json(record: "Record") -> dict[str, Any]:
    """Return a record as it is printed: a value that is JSON is shown as such."""
    return {
        "position": record.position,
        "time": _time(record.timestamp_ms),
        "key": _text(record.key),
        "value": _value(record.value),
        "headers": {name: _text(value) for name, value in record.headers},
    }


def status(*, settings: WorkerSettings) -> None:
    """Print what the topics hold, how far the workers have applied them, and the newest model.

    Empty topics are left out of the table. How far workers are is taken from
    the offsets that they commit: a worker that has stopped shows as growing
    lag. The endpoints /readyz and /metrics of each role say more.
    """
    from streams import topics
    from streams.kafka import Admin, Partition

    console, admin, n_empty = Console(highlight=False), Admin(settings), 0
    existing = admin.partitions()
    names = [settings.topic(one.name) for one in topics.EVERY_TOPIC]
    if missing := [name for name in names if name not in existing]:
        admin.require_rights(missing)
        if settings.topic(topics.MODELS.name) in missing:
            raise TopicError(topics.missing_text(missing, settings))
    table = Table("topic", "partitions", "records", "unread by workers", "worst partition")
    with closing(_reader(settings, settings.group_of("worker"))) as consumer:
        for one in topics.EVERY_TOPIC:
            name = settings.topic(one.name)
            places = [Partition(name, number) for number in range(existing.get(name, 0))]
            if not places:
                table.add_row(one.name, "missing", "", "", "")
            elif (cells := _cells(consumer, places, is_applied=one.name in APPLIED))[1] != "0":
                table.add_row(one.name, *cells)
            else:
                n_empty += 1
        console.print(table)
        if n_empty:
            console.print(
                f"{n_empty} empty topics are left out" if n_empty > 1 else "1 empty topic is left out"
            )
        console.print(_model_line(_newest_pointer(consumer, settings)))
    if missing:
        raise TopicError(topics.missing_text(missing, settings))


APPLIED = ("ratings", "users", "item-ratings")
"""Topics whose committed offsets are those of the group of the workers."""


def _cells(consumer: "Consumer", places: list["Partition"], *, is_applied: bool) -> tuple[str, str, str, str]:
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    held = str(sum(ends[one] - begins[one] for one in places))
    if not is_applied:
        return str(len(places)), held, "", ""
    committed = consumer.committed(places)
    lags = {one.partition: max(ends[one] - max(committed[one], begins[one]), 0) for one in places}
    worst = max(lags, key=lambda number: lags[number])
    return str(len(places)), held, str(sum(lags.values())), f"{worst}: {lags[worst]}" if lags[worst] else "-"


def _newest_pointer(consumer: "Consumer", settings: KafkaSettings) -> "ModelPointer | None":
    from streams import topics
    from streams.messages import decode_model_pointer

    for record in reversed(list(_newest(consumer, settings.topic(topics.MODELS.name), 1, 20))):
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


def _newest(consumer: "Consumer", topic: str, n_partitions: int, n: int) -> Iterator["Record"]:
    """Yield at least the n newest records, if there are so many; the records of a partition are in order."""
    from streams.kafka import Partition
    from streams.kafka.replay import read_to_end

    places = [Partition(topic, number) for number in range(n_partitions)]
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    yield from read_to_end(consumer, {one: max(begins[one], ends[one] - n) for one in places})


def _reader(settings: KafkaSettings, group: str = "") -> "Consumer":
    from streams.kafka import Consumer, Patience

    group, patience = group or f"{settings.prefix}tail", Patience(settings.broker_timeout_s)
    return Consumer(settings, group=group, start="earliest", fill_s=0, patience=patience)


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _value(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        return _text(value)


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
