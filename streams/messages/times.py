"""The time of a record: from its value, in any unit, or else its own time.

A time is judged against the own time of its record, which the producer or the broker set, never against the
clock of the reader: a replay must decide the same.
"""

from datetime import UTC, datetime

from dch.data.times import END_MS, FIRST_MS, time_number, to_millisecond
from dch.errors import RatingsError
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages.fields import short_repr

DAY_MS = 24 * 3600 * 1000
"""A time may be later than the own time of its record by this much: zones get confused, clocks differ."""


def own_time(record: Record) -> int:
    """Return the own time of a record, in milliseconds since 1970; 0 if it has none.

    Raises:
        BadRecord: it is after 2099, so that it would win over all records to come.
    """
    if record.timestamp_ms >= END_MS:
        fault = f"expected milliseconds since 1970, before 2100, got {record.timestamp_ms}; microseconds?"
        raise BadRecord("time of the record", fault, reason="time")
    return record.timestamp_ms


def time_of(found: object, record: Record, field: str, *, default_ms: int) -> int:
    """Return a time in milliseconds since 1970; the default if there is none (null, 0 or "").

    Args:
        found: seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO text.
        record: the record that holds it.
        field: the name of the field, for messages.
        default_ms: the own time of the record, or that of its envelope.

    Raises:
        BadRecord: the time is before 1990, more than a day after the own time of the record, or no time.
    """
    own = own_time(record)
    try:
        number = time_number(found, field)
    except (RatingsError, OverflowError):
        raise _bad(found, own, field) from None
    if number == 0 and default_ms == record.timestamp_ms:
        return own
    number = number or float(default_ms)
    time_ms = to_millisecond(number)
    if time_ms is None or time_ms > latest_ms(own):
        raise _bad(found, own, field)
    return time_ms


def latest_ms(own: int) -> int:
    """Return the latest time that a record may hold; an own time before 1990 is wrong and judges nothing."""
    return min(own + DAY_MS, END_MS) if own >= FIRST_MS else END_MS


def _bad(found: object, own: int, field: str) -> BadRecord:
    last = datetime.fromtimestamp(latest_ms(own) / 1000, UTC).isoformat(timespec="seconds")
    first = datetime.fromtimestamp(FIRST_MS / 1000, UTC).date()
    fault = (
        f"expected milliseconds since 1970 (or seconds, us, ns, or ISO text), from {first} to {last} "
        f"(a day after the time of the record), got {short_repr(found)}"
    )
    return BadRecord(field, fault, reason="time")
