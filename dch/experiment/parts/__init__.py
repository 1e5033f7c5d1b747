"""The parts of an experiment: each lists its jobs, and turns their results into pages."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from dch.errors import ConfigError
from dch.experiment.job import Part

NAMES = ("goals", "tables", "length", "cold", "drift")
"""In the order in which they run and are shown."""


def load(names: Sequence[str] = NAMES) -> dict[str, Part]:
    """Return these parts by name, in the order of NAMES.

    Raises:
        ConfigError: there is no part of that name.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConfigError(f"parts are {', '.join(NAMES)}; got {unknown[0]!r}")
    return {name: _load(name) for name in NAMES if name in names and find_spec(f"{__name__}.{name}")}


def _load(name: str) -> Part:
    return cast(Part, import_module(f"{__name__}.{name}"))
