"""Feature tokens: how a feature record of a user or an item becomes tokens of its bag.

A feature record is a JSON object. Each value becomes one token, each value in a list likewise: ``{"genres":
["Drama", "War"], "age": 25}`` gives ``genres=Drama``, ``genres=War`` and ``age=25``. Three kinds of keys give
no token: display texts (``title``, ``name``, ``description``), identifiers (``zip``), and keys that the
service itself reads (``available``).
"""

from collections.abc import Iterator, Mapping, Sequence

Features = Mapping[str, object]
"""The feature record of one user or one item, as read from JSON."""

NOT_TOKENS = frozenset({"title", "name", "description", "zip", "zip_code", "available"})


def tokens(features: Features) -> list[str]:
    """Turn a feature record into its tokens, in the order of the record, without duplicates."""
    found = (
        f"{key}={value}"
        for key, values in features.items()
        if key not in NOT_TOKENS
        for value in _scalars(values)
    )
    return list(dict.fromkeys(found))


def _scalars(values: object) -> Iterator[object]:
    if isinstance(values, Sequence) and not isinstance(values, str):
        yield from (value for value in values if isinstance(value, str | int | float))
    elif isinstance(values, str | int | float):
        yield values
