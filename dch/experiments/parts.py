"""The parts of an experiment by name, in the order in which they run and are shown."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from dch.errors import ConfigError
from dch.experiments.job import Part
from dch.experiments.jobs import code_length, cold_curve, drift, goals, tables

PARTS: dict[str, Part] = {
    "goals": goals,
    "tables": tables,
    "length": code_length,
    "cold": cold_curve,
    "drift": drift,
}


def check_names(names: Sequence[str]) -> None:
    """Refuse names of jobs that begin with no part.

    Raises:
        ConfigError: there is no part of that name.
    """
    for name in names:
        part = name.partition("/")[0]
        if not any(fnmatchcase(known, part) for known in PARTS):
            raise ConfigError(f"parts are {', '.join(PARTS)}; got {part!r}")
