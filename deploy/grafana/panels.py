"""What the dashboards show: every panel with its title, description, unit and queries, for build.py.

In queries, ``<all>`` stands for the selectors of all three variables, ``<job>`` for prefix and job, and
``<prefix>`` for prefix alone.
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
)
FRESHNESS = Panel(
    "Rating to list",
    "s",
    "Time from a rating's record until lists reflect it; live records only.",
    (
        ("p50", "job:dch_event_to_visible_seconds:p50_rate5m{<prefix>,job='worker'}"),
        ("p99", "job:dch_event_to_visible_seconds:p99_rate5m{<prefix>,job='worker'}"),
    ),
    warn_at=1,
    alarm_at=5,
)
RATES = Panel(
    "Ratings and requests",
    "wps",
    "Ratings applied, and requests answered, a second.",
    (
        ("ratings", "topic:dch_events_applied:rate5m{<prefix>,topic='ratings'}"),
        ("requests", "job:dch_requests:rate5m{<prefix>}"),
    ),
)
LAG = Panel(
    "Lag by role and topic",
    "s",
    "Upper bound of the age of the oldest unread record; the worst partition of each topic.",
    (("{{job}} {{topic}}", "topic:dch_consumer_lag_seconds:max{<job>}"),),
    warn_at=10,
    alarm_at=60,
)
MEMORY = Panel(
    "Memory against the limit",
    "percentunit",
    "Memory of the container, or of the process outside of one, over its limit.",
    (("{{job}} {{instance}}", "instance:dch_memory_bytes:ratio_limit{<all>}"),),
    warn_at=0.8,
    alarm_at=0.9,
)

SERVED_HITS = Panel(
    "Served hit rate by strategy (1 h)",
    "percentunit",
    "Share of the lists shown to sampled users of which the user liked an item within an hour. "
    "The observer joins lists "
    "with later ratings.",
    (("{{strategy}}", "strategy:dch_served_window_hits:ratio_1h{<prefix>}"),),
)
ALL = "window='1h',strategy='all',cohort='all',generation='all',arm='all'"
SERVED_ROWS = (
    (
        "What was shown: liked?",
        (
            SERVED_HITS,
            Panel(
                "Served hit rate by number of ratings (1 h)",
                "percentunit",
                "The same by how many ratings the user had when the list was made.",
                (("{{cohort}}", "cohort:dch_served_window_hits:ratio_1h{<prefix>}"),),
            ),
            Panel(
                "Served hit rate by generation and arm (24 h)",
                "percentunit",
                "Lists of the last 24 hours that were liked within an hour.",
                (
                    (
                        "{{generation}} {{arm}}",
                        "sum by (generation, arm) "
                        "(dch_served_window_hits{<prefix>,window='24h',within='1h'}) "
                        "/ sum by (generation, arm) (dch_served_window_lists{<prefix>,window='24h'})",
                    ),
                ),
            ),
        ),
    ),
    (
        "What was shown: how wide?",
        (
            Panel(
                "New items on lists (1 h)",
                "percentunit",
                "Share of the positions that held an item which the model was not fitted on: "
                "exposure of new items.",
                (("{{strategy}}", "strategy:dch_served_window_new_items:ratio_1h{<prefix>}"),),
                width=6,
            ),
            Panel(
                "Repeats (1 h)",
                "percentunit",
                "Share of the positions that held an item which the same user had been shown within 7 days.",
                (("{{strategy}}", "strategy:dch_served_window_repeated_items:ratio_1h{<prefix>}"),),
                width=6,
            ),
            Panel(
                "Coverage and popularity bias (1 h)",
                "percentunit",
                "Coverage: share of the catalogue that was shown; of several observers the "
                "largest. Gini: 0 is even, 1 is "
                "one item alone.",
                (
                    ("coverage", f"max by (prefix) (dch_served_coverage_ratio{{<prefix>,{ALL}}})"),
                    ("Gini", f"max by (prefix) (dch_served_gini_ratio{{<prefix>,{ALL}}})"),
                ),
                width=6,
            ),
            Panel(
                "Time from list to like (1 h)",
                "s",
                "Mean over the lists of the last hour that were liked.",
                (
                    (
                        "mean",
                        "sum by (prefix) (dch_served_window_time_to_like_seconds{<prefix>,window='1h'}) "
                        "/ sum by (prefix) (dch_served_window_hits{<prefix>,window='1h',within='7d'})",
                    ),
                ),
                width=6,
            ),
        ),
    ),
)

OVERVIEW = Dashboard(
    "dch-overview",
    "Overview",
    "Is it good, is it fresh, is it fast? Links lead to the details.",
    (
        (
            "At a glance",
            (
                stat(
                    "New users' hit rate",
                    "percentunit",
                    "Over the last hour; see Cold start.",
                    "new_users:dch_prequential_hits:ratio_rate1h{<prefix>}",
                ),
                stat(
                    "Rating to list, p99",
                    "s",
                    "Time until lists reflect a rating; see Ingest.",
                    "job:dch_event_to_visible_seconds:p99_rate5m{<prefix>,job='worker'}",
                    warn_at=1,
                    alarm_at=5,
                ),
                stat(
                    "Request, p99",
                    "s",
                    "Time from reading a request to queueing its reply; see Serving.",
                    "job:dch_request_duration_seconds:p99_rate5m{<prefix>,job='worker'}",
                    warn_at=0.1,
                    alarm_at=0.25,
                ),
                stat(
                    "Requests failed",
                    "percentunit",
                    "Error replies and expired requests; see Serving.",
                    "job:dch_requests_failed:ratio_rate5m{<prefix>}",
                    warn_at=0.01,
                    alarm_at=0.05,
                ),
                stat(
                    "Age of the model",
                    "s",
                    "Since the fit of the model in service; see Training.",
                    "prefix:dch_model_age_seconds:min{<prefix>}",
                    warn_at=86400,
                    alarm_at=172800,
                ),
                stat(
                    "Alerts firing",
                    "short",
                    "Each has a heading in deploy/README.md.",
                    "count(ALERTS{alertstate='firing'}) or vector(0)",
                    warn_at=1,
                    alarm_at=1,
                ),
            ),
        ),
        ("Good, fresh, fast", (HIT_RATES, FRESHNESS, RATES)),
        ("Healthy", (NEW_USERS, LAG, MEMORY)),
        ("Liked", (SERVED_HITS,)),
    ),
)

COLD_START = Dashboard(
    "dch-cold-start",
    "Cold start",
    "How good lists are for users and items that the model in service was not fitted on.",
    (
        (
            "Hit rate",
            (
                HIT_RATES,
                Panel(
                    "Popular items by cohort (1 h)",
                    "percentunit",
                    "The baseline: share of the same ratings whose item was in the list of popular items.",
                    (("{{cohort}}", "cohort:dch_prequential_popular_hits:ratio_rate1h{<prefix>}"),),
                ),
                NEW_USERS,
            ),
        ),
        (
            "Where it comes from",
            (
                Panel(
                    "Trials by cohort",
                    "wps",
                    "Positive ratings that were tested, a second. A refit makes new users and items known.",
                    (("{{cohort}}", "cohort:dch_prequential_trials:rate1h{<prefix>}"),),
                ),
                Panel(
                    "Requests by strategy",
                    "reqps",
                    "Requests by strategy. A user about whom nothing is known gets the popular "
                    "list; the reply "
                    "names it, this panel counts what was asked for.",
                    (
                        (
                            "{{strategy}}",
                            "sum by (strategy) (rate(dch_request_duration_seconds_count"
                            "{<all>,outcome='ok'}[$__rate_interval]))",
                        ),
                    ),
                ),
                table(
                    "Last refits: before and after",
                    "percentunit",
                    "NDCG@20 on the newest ratings: the candidate before its last update, and "
                    "the model that was in "
                    "service. A generation appears twice, once for each model.",
                    "max by (generation, model) (dch_refit_ndcg_ratio{<prefix>})",
                    width=8,
                ),
            ),
        ),
        *SERVED_ROWS,
    ),
)


SERVING = Dashboard(
    "dch-serving",
    "Serving",
    "Requests: how many, how fast, how many fail, what one costs.",
    (
        (
            "Requests",
            (
                Panel(
                    "Latency by strategy",
                    "s",
                    "From reading a request to queueing its reply, 99 of 100 requests. Exemplars "
                    "carry trace ids.",
                    (
                        (
                            "{{strategy}} p99",
                            "histogram_quantile(0.99, sum by (strategy, le) "
                            "(rate(dch_request_duration_seconds_bucket{<all>}[$__rate_interval])))",
                        ),
                        ("all p50", "job:dch_request_duration_seconds:p50_rate5m{<prefix>,job='worker'}"),
                    ),
                    warn_at=0.1,
                    alarm_at=0.25,
                ),
                Panel(
                    "Requests by outcome",
                    "reqps",
                    "ok: a list. error: an error reply, which says what to do. forwarded: sent "
                    "on to the owner of the "
                    "user. expired: dropped after its deadline.",
                    (
                        (
                            "{{outcome}}",
                            "sum by (outcome) "
                            "(rate(dch_request_duration_seconds_count{<all>}[$__rate_interval]))",
                        ),
                        ("expired", "sum(rate(dch_requests_expired_total{<all>}[$__rate_interval]))"),
                    ),
                ),
                Panel(
                    "Failed requests",
                    "percentunit",
                    "Error replies and expired requests, over all.",
                    (("failed", "job:dch_requests_failed:ratio_rate5m{<prefix>}"),),
                    warn_at=0.01,
                    alarm_at=0.05,
                ),
            ),
        ),
        (
            "Cost",
            (
                Panel(
                    "Cost of a request",
                    "s",
                    "Time of work for one request, without waiting behind others.",
                    (("a request", "job:dch_request_work_seconds:per_request5m{<prefix>}"),),
                ),
                Panel(
                    "Codes in memory",
                    "short",
                    "Users are divided among the workers; every worker holds all items.",
                    (("{{instance}} {{kind}}", "dch_store_codes{<all>}"),),
                ),
                Panel(
                    "Memory of one",
                    "bytes",
                    "Bytes of codes and sums for each user and item, and of histories for each "
                    "rating; ids not counted.",
                    (("{{kind}}", "kind:dch_store_bytes:per_one{<prefix>,job='worker'}"),),
                ),
            ),
        ),
    ),
)

INGEST = Dashboard(
    "dch-ingest",
    "Ingest",
    "Records: how many, how far behind, what cannot be processed.",
    (
        (
            "Records",
            (
                Panel(
                    "Records by topic",
                    "wps",
                    "Applied records a second.",
                    (("{{topic}}", "topic:dch_events_applied:rate5m{<prefix>}"),),
                ),
                Panel(
                    "Ratings by outcome",
                    "wps",
                    "replayed: read again after a restart. forwarded: found in another partition "
                    "than the owner's.",
                    (
                        (
                            "{{outcome}}",
                            "sum by (outcome) "
                            "(rate(dch_events_total{<all>,topic='ratings'}[$__rate_interval]))",
                        ),
                    ),
                ),
                FRESHNESS,
            ),
        ),
        (
            "Lag",
            (
                Panel(
                    "Lag in records by partition",
                    "short",
                    "Unread records, up to the first open transaction.",
                    (("{{job}} {{topic}}[{{partition}}]", "dch_consumer_lag_records{<all>}"),),
                ),
                Panel(
                    "Lag in seconds by partition",
                    "s",
                    "Upper bound of the age of the oldest unread record. A line that rises by a "
                    "second a second: "
                    "PartitionStuck.",
                    (("{{job}} {{topic}}[{{partition}}]", "dch_consumer_lag_seconds{<all>}"),),
                    warn_at=10,
                    alarm_at=60,
                ),
                Panel(
                    "Time to catch up",
                    "s",
                    "Unread records over the rate at which they get fewer. Very large while they "
                    "do not get fewer.",
                    (("{{job}} {{topic}}", "topic:dch_consumer_catch_up:seconds{<job>}"),),
                ),
            ),
        ),
        (
            "Dead letters",
            (
                Panel(
                    "Dead letters by topic and reason",
                    "short",
                    "Records that could not be processed, in the interval.",
                    (
                        (
                            "{{topic}} {{reason}}",
                            "sum by (topic, reason) "
                            "(increase(dch_dead_letters_total{<all>}[$__rate_interval])) > 0",
                        ),
                    ),
                ),
                Panel(
                    "Dead letters retained",
                    "short",
                    "Dead letters that the broker holds.",
                    (("{{topic}}", "max by (topic) (dch_dead_letter_records{<prefix>})"),),
                    warn_at=1,
                ),
                Panel(
                    "Age of the oldest dead letter",
                    "s",
                    "How long nobody has dealt with it.",
                    (("{{topic}}", "max by (topic) (dch_dead_letter_age_seconds{<prefix>})"),),
                ),
            ),
        ),
        (
            "Cost",
            (
                Panel(
                    "Cost of a rating",
                    "s",
                    "Time of work to apply one rating on the user side, trials included.",
                    (("a rating", "job:dch_rating_work_seconds:per_rating5m{<prefix>}"),),
                ),
                Panel(
                    "Share of time by task",
                    "percentunit",
                    "What the worker does with its time; 100% of a task is one busy core.",
                    (
                        (
                            "{{task}}",
                            "sum by (task) (rate(dch_work_seconds_total{<all>}[$__rate_interval]))",
                        ),
                    ),
                ),
                Panel(
                    "Ratings in memory",
                    "short",
                    "Ratings in the histories of users, withdrawn ones included.",
                    (("{{instance}}", "dch_store_ratings{<prefix>,job='worker'}"),),
                ),
            ),
        ),
    ),
)

TRAINING = Dashboard(
    "dch-training",
    "Training",
    "Fits and models: what was published, how good it was, what is in service.",
    (
        (
            "Refits",
            (
                Panel(
                    "Refits by outcome",
                    "short",
                    "Fits of the last hour. rejected: worse than the model in service. "
                    "unmeasured: not comparable.",
                    (("{{outcome}}", "sum by (outcome) (increase(dch_refits_total{<prefix>}[1h]))"),),
                ),
                Panel(
                    "NDCG@20: candidate and model in service",
                    "percentunit",
                    "On the newest ratings, before the last update of the candidate.",
                    (("{{generation}} {{model}}", "dch_refit_ndcg_ratio{<prefix>}"),),
                ),
                Panel(
                    "Duration of fits",
                    "s",
                    "Mean of the last hour, measurement included.",
                    (
                        (
                            "mean",
                            "sum(rate(dch_refit_duration_seconds_sum{<prefix>,job='trainer'}[1h])) "
                            "/ sum(rate(dch_refit_duration_seconds_count{<prefix>,job='trainer'}[1h]))",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Models",
            (
                Panel(
                    "New ratings",
                    "short",
                    "Ratings that no fit has begun with; a refit is due at --refit-ratings.",
                    (("waiting", "dch_refit_new_ratings{<prefix>,job='trainer'}"),),
                ),
                Panel(
                    "Age of the model",
                    "s",
                    "Since the fit of the newest model in service.",
                    (("age", "prefix:dch_model_age_seconds:min{<prefix>}"),),
                    warn_at=86400,
                    alarm_at=172800,
                ),
                Panel(
                    "Swaps",
                    "s",
                    "Time from a pointer to its model in service: the mean of the last hour.",
                    (
                        (
                            "mean",
                            "sum(rate(dch_model_swap_duration_seconds_sum{<prefix>,job='worker'}[1h])) "
                            "/ sum(rate(dch_model_swap_duration_seconds_count{<prefix>,job='worker'}[1h]))",
                        ),
                    ),
                ),
            ),
        ),
        (
            "In service",
            (
                table(
                    "Models by location and hash",
                    "short",
                    "Which worker serves which generation, from where; the hash is that of its manifest.",
                    "max by (instance, generation, generation_hash, location) (dch_model_info{<prefix>})",
                    width=16,
                ),
                Panel(
                    "Models refused",
                    "short",
                    "Pointers that workers did not follow, in the last hour.",
                    (("{{reason}}", "sum by (reason) (increase(dch_models_refused_total{<prefix>}[1h]))"),),
                    warn_at=1,
                ),
            ),
        ),
    ),
)


def operations_of(role: str) -> tuple[str, tuple[Panel, ...]]:
    """Return the row of one role."""
    labels = f"<prefix>,instance=~'$instance',job='{role}'"
    return (
        role.capitalize(),
        (
            Panel(
                f"Checks: {role}",
                "short",
                "Each check of /readyz: 1 is met. The role is ready when all are.",
                (("{{instance}} {{check}}", f"dch_ready{{{labels}}}"),),
                warn_at=1,
                falls=True,
                width=6,
            ),
            Panel(
                f"Memory: {role}",
                "bytes",
                "Memory used, and the limit of the container or the memory of the machine.",
                (
                    ("{{instance}}", f"dch_memory_bytes{{{labels}}}"),
                    ("{{instance}} limit", f"dch_memory_limit_bytes{{{labels}}}"),
                ),
                width=6,
            ),
            Panel(
                f"Processor time: {role}",
                "percentunit",
                "100% is one core; child processes not included.",
                (("{{instance}}", f"rate(process_cpu_seconds_total{{{labels}}}[$__rate_interval])"),),
                width=6,
            ),
            Panel(
                f"Restarts: {role}",
                "short",
                "Starts of the process within the last hour.",
                (("{{instance}}", f"changes(process_start_time_seconds{{{labels}}}[1h])"),),
                warn_at=1,
                alarm_at=3,
                width=6,
            ),
        ),
    )


OPERATIONS = Dashboard(
    "dch-operations",
    "Operations by role",
    "Processes: up, ready, memory, restarts, versions.",
    (
        (
            "All roles",
            (
                Panel(
                    "Up",
                    "short",
                    "Whether the last scrape worked.",
                    (("{{job}} {{instance}}", "up{<all>}"),),
                    warn_at=1,
                    falls=True,
                    width=4,
                ),
                Panel(
                    "Rebalances",
                    "short",
                    "Changes of assigned partitions within the last hour.",
                    (("{{instance}}", "increase(dch_rebalances_total{<prefix>,job='worker'}[1h])"),),
                    width=5,
                ),
                Panel(
                    "Scrapes",
                    "s",
                    "Duration of a scrape.",
                    (("{{job}} {{instance}}", "scrape_duration_seconds{<all>}"),),
                    warn_at=1,
                    width=4,
                ),
                Panel(
                    "Broker errors by kind",
                    "short",
                    "Errors of Kafka clients within the last hour. They retry what may pass.",
                    (
                        (
                            "{{job}} {{kind}}",
                            "sum by (job, kind) (increase(dch_broker_errors_total{<job>}[1h]))",
                        ),
                    ),
                    width=5,
                ),
                table(
                    "Versions",
                    "short",
                    "What runs where.",
                    "max by (job, instance, version, python) (dch_build_info{<prefix>})",
                    width=6,
                ),
            ),
        ),
        operations_of("worker"),
        operations_of("trainer"),
        operations_of("observer"),
    ),
)

DASHBOARDS = (OVERVIEW, COLD_START, SERVING, INGEST, TRAINING, OPERATIONS)
