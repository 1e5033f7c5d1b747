"""One setting: how it is declared, parsed from text and checked. Which settings exist is in ``settings``."""

import math
from collections.abc import Sequence
from dataclasses import Field, field
from typing import Any, TypeVar, cast

from streams.errors import SettingsError

T = TypeVar("T")


def setting(
    default: T,
    meaning: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    choices: Sequence[str] = (),
    repr: bool = True,  # noqa: A002 - the name that dataclasses give it
) -> T:
    """Declare a field of ``Settings`` with its meaning, its unit being part of it, and its range."""
    about = {"meaning": meaning, "low": low, "high": high, "choices": tuple(choices)}
    if isinstance(default, dict):
        return cast(T, field(default_factory=dict, metadata=about, repr=repr))
    return field(default=default, metadata=about, repr=repr)


def flag_name(name: str) -> str:
    """Return the flag of a setting: ``--request-timeout-s``."""
    return "--" + name.replace("_", "-")


def env_name(name: str) -> str:
    """Return the environment variable of a setting: ``DCH_REQUEST_TIMEOUT_S``."""
    return "DCH_" + name.upper()


def parse(field_: Field[Any], text: str) -> object:
    """Turn the text of a flag or a variable into the type of its setting.

    Raises:
        SettingsError: the text has another form.
    """
    default, name = cast(object, field_.default), field_.name
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        if isinstance(default, int):
            return int(text)
        return float(text) if isinstance(default, float) else text
    except ValueError:
        raise _error(name, "a whole number" if isinstance(default, int) else "a number", text) from None


def check(field_: Field[Any], value: object) -> None:
    """Refuse a value that is of another type than the default, or out of range.

    Raises:
        SettingsError: naming the setting, its range, the value and where to set it.
    """
    about, name = field_.metadata, field_.name
    if about["choices"] and value not in about["choices"]:
        raise _error(name, "one of " + ", ".join(about["choices"]), value)
    if isinstance(value, int | float) and not about["low"] <= value <= about["high"]:
        raise _error(name, f"{about['low']} to {about['high']}", value)
    if name == "bits" and cast(int, value) % 8:
        raise _error(name, "a multiple of 8", value)
    if name == "bootstrap_servers" and not str(value).strip():
        raise _error(name, "host:port", value)


def _error(name: str, expected: str, found: object) -> SettingsError:
    return SettingsError(
        f"{name} must be {expected}, got {found!r}; set it by {flag_name(name)} or {env_name(name)}"
    )
