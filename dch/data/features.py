"""Feature tokens: how a feature record of a user or an item becomes tokens of its bag.

A feature record is a JSON object. Each value becomes one token, each value in a list likewise: ``{"genres":
["Drama", "War"], "age": 25}`` gives ``genres=Drama``, ``genres=War`` and ``age=25``. Three kinds of keys give
no token: display texts (``title``, ``name``, ``description``), identifiers (``zip``), and keys that the
service itself reads (``available``).
"""

from collections.abc import Iterator, Mapping, Sequence

Features = Mapping[str, object]
"""The feature record of one user or one item, as read from JSON."""

AVAILABLE = "available"
"""The key of an item that says whether it may be recommended."""

YES = frozenset({"true", "yes", "y", "t", "on", ""})
NO = frozenset({"false", "no", "n", "f", "off"})

NOT_TOKENS = frozenset({"title", "name", "description", "zip", "zip_code", AVAILABLE})


def availability(features: Features) -> bool | None:
    """Return whether an item may be recommended; None if its ``available`` cannot be understood.

    ``false``, 0, numbers below 0 and the texts ``"false"``, ``"no"``, ``"n"``, ``"f"`` and ``"off"`` hide an
    item. ``true``, numbers above 0 (pieces in stock), the opposites of these texts, null and a missing key do
    not. A number may be text, as in tables.
    """
    found = features.get(AVAILABLE)
    if isinstance(found, str):
        found = _meaning(found.strip().lower())
        if found is None:
            return None
    if found is None or isinstance(found, bool):
        return found is not False
    if not isinstance(found, int | float) or found != found:  # NaN differs from itself
        return None
    return found > 0


def _meaning(text: str) -> bool | float | None:
    """Return the boolean or the number that a text stands for; None if it stands for neither."""
    if text in YES or text in NO:
        return text in YES
    try:
        return float(text)
    except ValueError:
        return None


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
