"""Gauges whose label values come and go: what is no longer set disappears."""

from prometheus_client import Gauge

Series = tuple[Gauge, tuple[str, ...]]


class Shown:
    """Sets gauges, and removes the label values that were set the last time and not again."""

    def __init__(self) -> None:
        self._before: dict[Series, Gauge] = {}
        self._now: dict[Series, Gauge] = {}

    def set(self, gauge: Gauge, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        series = gauge, labels
        self._now[series] = self._before.get(series) or gauge.labels(*labels)
        self._now[series].set(value)

    def remove_the_others(self) -> None:
        """Remove what was set before the last call and not since."""
        for gauge, labels in self._before.keys() - self._now.keys():
            gauge.remove(*labels)
        self._before, self._now = self._now, {}
