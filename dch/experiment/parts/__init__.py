"""The parts of an experiment: each lists its jobs, and turns their results into pages."""

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from dch.errors import ConfigError
from dch.experiment.job import Part

NAMES = ("goals", "tables", "length", "cold", "drift")
"""In the order in which they run and are shown."""


def load() -> dict[str, Part]:
    """Return the parts by name, in the order of NAMES."""
    return {name: cast(Part, import_module(f"{__name__}.{name}")) for name in NAMES}


def check(names: Sequence[str]) -> None:
    """Refuse a name that no part has.

    Raises:
        ConfigError: there is no part of that name.
    """
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"parts are {', '.join(NAMES)}; got {name!r}")
