"""``dch tail``: look at the newest records of a topic. It changes nothing."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import with_settings
from streams.cli.texts import time_text
from streams.errors import SettingsError
from streams.settings import KafkaSettings

if TYPE_CHECKING:
    from streams.kafka import Consumer
    from streams.kafka.records import Record


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: dch tail ratings-dlt -n 5 | jq .headers")(with_settings("tail", tail))


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Name of a topic, without --prefix.")],
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Number of records.")] = 10,
    *,
    settings: KafkaSettings,
) -> None:
    """Print the newest records of a topic as JSON lines, oldest first.

    Values, keys and headers that are not UTF-8 are shown in hexadecimal;
    positions and times in the headers of dead letters as numbers.
    """
    from streams import topics
    from streams.kafka import Admin

    names = [one.name for one in topics.EVERY_TOPIC]
    if topic not in names:
        raise SettingsError(f"there is no topic {topic!r}; topics are {', '.join(names)}")
    defined = next(one for one in topics.EVERY_TOPIC if one.name == topic)
    topics.require(Admin(settings), settings, (defined,))
    count = settings.partitions if defined.is_sharded else 1
    with closing(reader(settings)) as consumer:
        found = sorted(newest(consumer, settings.topic(topic), count, n), key=lambda one: one.timestamp_ms)
    for record in found[-n:]:
        typer.echo(json.dumps(as_json(record), ensure_ascii=False))


def as_json(record: "Record") -> dict[str, Any]:
    """Return a record as it is printed: a value that is JSON is shown as such, unless no role takes it."""
    unread = {} if record.fault is None else {"headers_fault": record.fault}
    return {
        "position": record.position,
        "time": time_text(record.timestamp_ms, "milliseconds"),
        "key": _text(record.key),
        "value": _value(record.value),
        "headers": {name: _header(name, value) for name, value in record.headers},
        **unread,
    }


NUMBERS = ("kafka_dlt-original-partition", "kafka_dlt-original-offset", "kafka_dlt-original-timestamp")
"""Headers of dead letters that are big-endian integers."""


def _header(name: str, value: bytes | None) -> str | int | None:
    is_number = name in NUMBERS and value is not None and len(value) in (4, 8)
    return int.from_bytes(value or b"", signed=True) if is_number else _text(value)


def newest(consumer: "Consumer", topic: str, n_partitions: int, n: int) -> Iterator["Record"]:
    """Yield at least the n newest records, if there are so many; the records of a partition are in order."""
    from streams.kafka import Partition
    from streams.kafka.replay import read_to_end

    places = [Partition(topic, number) for number in range(n_partitions)]
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    yield from read_to_end(consumer, {one: max(begins[one], ends[one] - n) for one in places})


def reader(settings: KafkaSettings, group: str = "") -> "Consumer":
    """Return a consumer with the patience of a person; without a group it has one of its own."""
    from streams.kafka import Consumer, Patience

    group, patience = group or f"{settings.prefix}tail", Patience(settings.broker_timeout_s)
    return Consumer(settings, group=group, start="earliest", fill_s=0, patience=patience)


def _value(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    from streams.messages.envelope import DECODE_ERRORS, is_deep

    try:
        found = None if value is None else json.loads(value)
        if not is_deep(found):
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair cannot be printed
            return found
    except DECODE_ERRORS:
        pass
    return _text(value)


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
