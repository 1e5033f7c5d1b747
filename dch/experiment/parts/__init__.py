"""The parts of an experiment: each lists its jobs, and turns their results into pages."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
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
    """Refuse names of jobs that begin with no part.

    Raises:
        ConfigError: there is no part of that name.
    """
    for name in names:
        part = name.partition("/")[0]
        if not any(fnmatchcase(known, part) for known in NAMES):
            raise ConfigError(f"parts are {', '.join(NAMES)}; got {part!r}")
