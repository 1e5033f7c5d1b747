"""How a metric is declared: name, meaning, labels, and what a jump in it means.

Beside the kinds of prometheus_client there are a histogram for batches, and gauges that change together.

Each declaration is kept in ``CATALOGUE``. The table in ``docs/metrics.md`` is made from it, and the tests of
dashboards and alerts look names and labels up in it.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for every counter, which no panel reads

Values = Sequence[str]
Labels = Mapping[str, Values]
"""Each label with its values; no values where they are known only at run time, such as a generation."""


@dataclass(frozen=True)
class Declared:
    """The declaration of one metric, as the table shows it."""

    name: str
    kind: str
    """counter, gauge or histogram."""

    meaning: str
    jump: str
    """What a sudden change means to an operator."""

    labels: Labels
    roles: Sequence[str]
    """The roles that set it."""

    @property
    def unit(self) -> str:
        """The unit, which is the last word of the name without ``_total``."""
        word = self.name.removesuffix("_total").rpartition("_")[2]
        return word if word in UNITS else "1"

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series in Prometheus."""
        is_histogram = self.kind == "histogram"
        return (
            tuple(self.name + end for end in ("_bucket", "_sum", "_count")) if is_histogram else (self.name,)
        )


ANY: Values = ()
"""The values of a label that are known only at run time."""

UNITS = frozenset({"seconds", "bytes", "records", "ratings", "codes"})
CATALOGUE: dict[str, Declared] = {}
_COUNTERS: dict[str, Counter] = {}


def _declare(name: str, kind: str, meaning: str, jump: str, labels: Labels, roles: str) -> list[str]:
    if name in CATALOGUE:
        raise ValueError(f"{name} is declared twice")
    CATALOGUE[name] = Declared(name, kind, meaning, jump, dict(labels), tuple(roles.split()))
    return list(labels)


def counter(name: str, meaning: str, *, jump: str, roles: str, labels: Labels = {}) -> Counter:  # noqa: B006
    """Declare a counter."""
    _COUNTERS[name] = Counter(name, meaning, _declare(name, "counter", meaning, jump, labels, roles))
    return _COUNTERS[name]


def gauge(name: str, meaning: str, *, jump: str, roles: str, labels: Labels = {}) -> Gauge:  # noqa: B006
    """Declare a gauge."""
    return Gauge(name, meaning, _declare(name, "gauge", meaning, jump, labels, roles))


def histogram(
    name: str,
    meaning: str,
    *,
    jump: str,
    roles: str,
    buckets: Sequence[float],
    labels: Labels = {},  # noqa: B006
) -> Histogram:
    """Declare a histogram."""
    names = _declare(name, "histogram", meaning, jump, labels, roles)
    return Histogram(name, meaning, names, buckets=buckets)


def batch_histogram(
    name: str, meaning: str, *, jump: str, roles: str, buckets: Sequence[float]
) -> "BatchHistogram":
    """Declare a histogram that takes many values at once."""
    _declare(name, "histogram", meaning, jump, {}, roles)
    return BatchHistogram(name, meaning, buckets)


def show_zeros(role: str, only: Labels = {}) -> None:  # noqa: B006
    """Create the counters of a role at 0, for every combination of label values that is known in advance.

    Prometheus does not see the first increment of a series that did not exist before it.

    Args:
        role: such as worker.
        only: by label, the values that occur in this role; all of the others.
    """
    for name, found in _COUNTERS.items():
        declared = CATALOGUE[name]
        labels = {label: only.get(label, values) for label, values in declared.labels.items()}
        if role in declared.roles and declared.labels and all(declared.labels.values()):
            for values in product(*labels.values()):
                found.labels(*values)


class OfRole(Collector):
    """The metrics that one role sets, and those that are not declared here, such as those of the process.

    All roles import one set of declarations. A metric without labels would else be 0 in roles that never
    set it, and an average over the roles would be wrong.
    """

    def __init__(self, role: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._role, self._registry = role, registry

    def collect(self) -> Iterable[Metric]:
        """Return the metrics for an exposition."""
        for family in self._registry.collect():
            declared = CATALOGUE.get(family.name) or CATALOGUE.get(f"{family.name}_total")
            if declared is None or self._role in declared.roles:
                yield family


class GaugeGroup(Collector):
    """Gauges that are replaced all at once.

    A scrape never sees some of them before a change and others after it, so a ratio of two of them is that of
    one moment. Label values that are not set again disappear.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._meanings: dict[str, tuple[str, list[str]]] = {}
        self._values: Mapping[str, Mapping[tuple[str, ...], float]] = {}
        registry.register(self)

    def gauge(self, name: str, meaning: str, *, jump: str, roles: str, labels: Labels) -> str:
        """Declare a gauge of the group, and return its name."""
        self._meanings[name] = meaning, _declare(name, "gauge", meaning, jump, labels, roles)
        return name

    def replace(self, values: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        """Set all gauges: the value of each tuple of label values, by name of the gauge."""
        self._values = values

    def collect(self) -> Iterable[Metric]:
        """Return the gauges for an exposition."""
        values = self._values
        for name, (meaning, labels) in self._meanings.items():
            family = GaugeMetricFamily(name, meaning, labels=labels)
            for of, value in values.get(name, {}).items():
                family.add_metric(of, value)
            yield family


class BatchHistogram(Collector):
    """A histogram without labels that observes many values in one call.

    Equal to ``Histogram`` with one ``observe`` for each value, but each bucket is incremented once per call.
    One of the values may have an exemplar.
    """

    def __init__(
        self, name: str, meaning: str, buckets: Sequence[float], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._name, self._meaning = name, meaning
        self._bounds = np.array([*buckets, np.inf])
        self._counts, self._sum = np.zeros(len(self._bounds), np.int64), 0.0
        self._exemplars: list[Exemplar | None] = [None] * len(self._bounds)  # the last one of each bucket
        self._lock = threading.Lock()
        registry.register(self)

    def observe_many(
        self,
        values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
        exemplar: tuple[float, dict[str, str]] | None = None,
    ) -> None:
        """Observe each of the values, (n,); an exemplar is one of them with its labels."""
        counts = np.bincount(np.searchsorted(self._bounds, values), minlength=len(self._bounds))
        with self._lock:
            self._counts += counts
            self._sum += float(values.sum())
            if exemplar is not None:
                value, labels = exemplar
                at = int(np.searchsorted(self._bounds, value))
                self._exemplars[at] = Exemplar(labels, value, time.time())

    def collect(self) -> Iterable[Metric]:
        """Return the histogram for an exposition."""
        with self._lock:
            totals, total, exemplars = np.cumsum(self._counts).tolist(), self._sum, list(self._exemplars)
        buckets = [
            (bound, count) if exemplar is None else (bound, count, exemplar)
            for bound, count, exemplar in zip(
                map(floatToGoString, self._bounds), totals, exemplars, strict=True
            )
        ]
        yield HistogramMetricFamily(self._name, self._meaning, buckets=buckets, sum_value=total)
