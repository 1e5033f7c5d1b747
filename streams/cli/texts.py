"""Times and counts as the tools print them."""

from datetime import UTC, datetime


def time_text(time_ms: int, timespec: str = "seconds") -> str:
    """Return milliseconds since 1970 as ISO text in UTC, or as the number if no calendar has that year.

    Brokers take any number as the time of a record, for example one in microseconds.
    """
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec=timespec)
    except (ValueError, OverflowError, OSError):
        return str(time_ms)


def counted(n: int, noun: str) -> str:
    """Return a number and what it counts: ``1 rating``, ``1,000 ratings``."""
    return f"{n:,} {noun}" + "s" * (n != 1)
