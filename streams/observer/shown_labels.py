"""Gauges whose label values come and go: what is no longer set disappears."""

from prometheus_client import Gauge


class Shown:
    """Sets gauges, and removes the label values that were set the last time and not again."""

    def __init__(self) -> None:
        self._before: set[tuple[Gauge, tuple[str, ...]]] = set()
        self._now: set[tuple[Gauge, tuple[str, ...]]] = set()

    def set(self, gauge: Gauge, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        gauge.labels(*labels).set(value)
        self._now.add((gauge, labels))

    def remove_the_others(self) -> None:
        """Remove what was set before the last call and not since."""
        for gauge, labels in self._before - self._now:
            gauge.remove(*labels)
        self._before, self._now = self._now, set()
