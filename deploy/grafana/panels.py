"""Panels and dashboards as data, and the panels that several dashboards show.

Each dashboard is a file in ``pages``. In queries, ``<all>`` stands for the selectors of all three variables,
``<job>`` for prefix and job, and ``<prefix>`` for prefix alone.
"""

from dataclasses import dataclass
from typing import Literal

SELECTORS = {
    "<all>": "prefix=~'$prefix',job=~'$job',instance=~'$instance'",
    "<job>": "prefix=~'$prefix',job=~'$job'",
    "<prefix>": "prefix=~'$prefix'",
}
"""What the short forms stand for."""

Query = tuple[str, str]
"""The legend and the expression."""


@dataclass(frozen=True)
class Panel:
    """One panel."""

    title: str
    unit: str
    """A unit of Grafana: s, bytes, short, percentunit, reqps (requests a second), wps (records a second)."""

    description: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    warn_at: float | None = None
    """From this value on the panel turns orange."""

    alarm_at: float | None = None
    """From this value on it turns red; the limit of the alert, where there is one."""

    falls: bool = False
    """Whether low values are bad: red below ``warn_at``."""

    width: int = 8
    """Columns out of 24."""

    detail: str = ""
    """The uid of the dashboard with the details, to which the other dashboards link."""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard: rows of panels."""

    uid: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def stat(title: str, unit: str, description: str, expression: str, **more: object) -> Panel:
    """Return a small panel with one number."""
    return Panel(title, unit, description, (("", expression),), "stat", width=4, **more)  # type: ignore[arg-type]


def table(title: str, unit: str, description: str, expression: str, width: int = 12) -> Panel:
    """Return a table of the newest value of each series."""
    return Panel(title, unit, description, (("", expression),), "table", width=width)


HIT_RATES = Panel(
    "Hit rate by cohort (1 h)",
    "percentunit",
    "Share of positive ratings whose item was in the user's top 20 just before the rating was "
    "applied. New means not in "
    "the training data of the generation in service.",
    (("{{cohort}}", "cohort:dch_prequential_hits:ratio_rate1h{<prefix>}"),),
    detail="dch-cold-start",
)
NEW_USERS = Panel(
    "New users: our lists, popular items, and our last week",
    "percentunit",
    "HitRateDropped fires if our lists fall below 70% of their week, or below the list of popular items.",
    (
        ("our lists", "new_users:dch_prequential_hits:ratio_rate1h{<prefix>}"),
        ("popular items", "new_users:dch_prequential_popular_hits:ratio_rate1h{<prefix>}"),
        ("our lists, week", "new_users:dch_prequential_hits:ratio_week{<prefix>}"),
    ),
    detail="dch-cold-start",
)
FRESHNESS = Panel(
    "Rating to list",
    "s",
    "Time from a rating's record until lists reflect it; without replayed ones. Exemplars carry trace ids.",
    (
        ("p50", "job:dch_event_to_visible_seconds:p50_rate5m{<prefix>,job='worker'}"),
        ("p99", "job:dch_event_to_visible_seconds:p99_rate5m{<prefix>,job='worker'}"),
        (
            "p99 now",
            "histogram_quantile(0.99, sum by (le) "
            "(rate(dch_event_to_visible_seconds_bucket{<prefix>,job='worker'}[$__rate_interval])))",
        ),
    ),
    warn_at=1,
    alarm_at=5,
    detail="dch-ingest",
)
RATES = Panel(
    "Ratings and requests",
    "wps",
    "Ratings applied, and requests answered, a second.",
    (
        ("ratings", "topic:dch_events_applied:rate5m{<prefix>,topic='ratings'}"),
        ("requests", "job:dch_requests:rate5m{<prefix>}"),
    ),
    detail="dch-ingest",
)
LAG = Panel(
    "Lag by role and topic",
    "s",
    "Upper bound of the age of the oldest unread record; the worst partition of each topic.",
    (("{{job}} {{topic}}", "topic:dch_consumer_lag_seconds:max{<job>}"),),
    warn_at=10,
    alarm_at=60,
    detail="dch-ingest",
)
MEMORY = Panel(
    "Memory against the limit",
    "percentunit",
    "Memory of the container, or of the process outside of one, over its limit.",
    (("{{job}} {{instance}}", "instance:dch_memory_bytes:ratio_limit{<all>}"),),
    warn_at=0.8,
    alarm_at=0.9,
    detail="dch-operations",
)

SERVED_HITS = Panel(
    "Served hit rate by strategy (1 h)",
    "percentunit",
    "Share of the lists shown to sampled users of which the user liked an item within an hour. "
    "The observer joins lists "
    "with later ratings.",
    (("{{strategy}}", "strategy:dch_served_window_hits:ratio_1h{<prefix>}"),),
    detail="dch-cold-start",
)
