"""What the windows show: gauges by strategy, cohort and arm, and of a day also by generation."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.observer.joins import MEASURES, Label
from streams.observer.list_columns import Lists
from streams.observer.windows import (
    Exposure,
    Key,
    Window,
    exposures_by,
    in_window,
    main_generations,
    sums_by,
    window_of,
)
from streams.served_metrics import (
    N_GENERATIONS,
    SERVED_COVERAGE,
    SERVED_GENERATION_COVERAGE,
    SERVED_GENERATION_GINI,
    SERVED_GENERATION_HITS,
    SERVED_GENERATION_ITEMS,
    SERVED_GENERATION_LISTS,
    SERVED_GENERATION_NEW_ITEMS,
    SERVED_GENERATION_POPULARITY,
    SERVED_GENERATION_REPEATED_ITEMS,
    SERVED_GENERATION_TIME_TO_LIKE,
    SERVED_GINI,
    SERVED_WINDOW_HITS,
    SERVED_WINDOW_ITEMS,
    SERVED_WINDOW_LISTS,
    SERVED_WINDOW_NEW_ITEMS,
    SERVED_WINDOW_POPULARITY,
    SERVED_WINDOW_REPEATED_ITEMS,
    SERVED_WINDOW_TIME_TO_LIKE,
    WITHIN,
)

WINDOW_MINUTES = {"5m": 5, "1h": 60, "24h": 1440}
OF_GENERATIONS = "24h"
"""The window whose lists are also shown by generation."""

ALL = "all"
"""The value of a label that stands for any value."""


class View(NamedTuple):
    """The names of the gauges of one view."""

    measures: Sequence[str]
    """In the order of MEASURES."""

    hits: str
    time_to_like: str
    coverage: str
    gini: str


OF_WINDOW = View(
    (
        SERVED_WINDOW_LISTS,
        SERVED_WINDOW_ITEMS,
        SERVED_WINDOW_NEW_ITEMS,
        SERVED_WINDOW_REPEATED_ITEMS,
        SERVED_WINDOW_POPULARITY,
    ),
    SERVED_WINDOW_HITS,
    SERVED_WINDOW_TIME_TO_LIKE,
    SERVED_COVERAGE,
    SERVED_GINI,
)
OF_GENERATION = View(
    (
        SERVED_GENERATION_LISTS,
        SERVED_GENERATION_ITEMS,
        SERVED_GENERATION_NEW_ITEMS,
        SERVED_GENERATION_REPEATED_ITEMS,
        SERVED_GENERATION_POPULARITY,
    ),
    SERVED_GENERATION_HITS,
    SERVED_GENERATION_TIME_TO_LIKE,
    SERVED_GENERATION_COVERAGE,
    SERVED_GENERATION_GINI,
)

Values = defaultdict[str, dict[Key, float]]
"""The values of gauges, by name and label values."""


def window_gauges(lists: Lists, labels: Sequence[Label], last_minute: int) -> Values:
    """Return the gauges of all windows that end with this minute.

    Args:
        lists: all that are kept.
        labels: by label row.
        last_minute: since 1970.
    """
    values: Values = defaultdict(dict)
    for name, n_minutes in WINDOW_MINUTES.items():
        window = window_of(part := in_window(lists, last_minute, n_minutes))
        of_group = [labels[row] for row in window.label.tolist()]
        _note_window(name, window, of_group, values)
        if name == OF_GENERATIONS:
            _note_generations(window, of_group, main_generations(part, N_GENERATIONS), values)
    return values


def _note_window(name: str, window: Window, labels: Sequence[Label], values: Values) -> None:
    _note_sums(OF_WINDOW, sums_by(window, [(name, *label) for label in labels]), values)
    for groups in (
        [(name, ALL, ALL) for _ in labels],
        [(name, label.strategy, ALL) for label in labels],
        [(name, ALL, label.cohort) for label in labels],
    ):
        _note_exposures(OF_WINDOW, exposures_by(window, groups), values)


def _note_generations(window: Window, labels: Sequence[Label], shown: set[int], values: Values) -> None:
    """Add what is shown by generation, of these generations alone."""
    groups = [
        (str(generation), label.arm) if generation in shown else None
        for generation, label in zip(window.generation.tolist(), labels, strict=True)
    ]
    _note_sums(OF_GENERATION, sums_by(window, groups), values)
    _note_exposures(OF_GENERATION, exposures_by(window, groups), values)


def _note_sums(view: View, found: Mapping[Key, NDArray[np.int64]], values_of: Values) -> None:
    for label, sums in found.items():
        values = sums.tolist()
        *hits, delay_ms = values[len(MEASURES) :]
        for name, value in zip(view.measures, values, strict=False):
            values_of[name][label] = value
        for within, value in zip(WITHIN, hits, strict=True):
            values_of[view.hits][*label, within] = value
        values_of[view.time_to_like][label] = delay_ms / 1000


def _note_exposures(view: View, found: Mapping[Key, Exposure], values_of: Values) -> None:
    for label, exposure in found.items():
        values_of[view.coverage][label] = exposure.coverage
        values_of[view.gini][label] = exposure.gini
