"""Overview: is it good, is it fresh, is it fast?"""

from dataclasses import replace

from panels import FRESHNESS, HIT_RATES, LAG, MEMORY, NEW_USERS, RATES, SERVED_HITS, Dashboard, stat

OVERVIEW = Dashboard(
    "dch-overview",
    "Overview",
    "Is it good, is it fresh, is it fast? Each panel has a link to its details.",
    (
        (
            "At a glance",
            (
                stat(
                    "New users' hit rate",
                    "percentunit",
                    "Over the last hour; see Cold start.",
                    "new_users:dch_prequential_hits:ratio_rate1h{<prefix>}",
                    detail="dch-cold-start",
                ),
                stat(
                    "Rating to list, p99",
                    "s",
                    "Time until lists reflect a rating; see Ingest.",
                    "job:dch_event_to_visible_seconds:p99_rate5m{<prefix>,job='worker'}",
                    warn_at=1,
                    alarm_at=5,
                    detail="dch-ingest",
                ),
                stat(
                    "Request, p99",
                    "s",
                    "Time from reading a request to queueing its reply; see Serving.",
                    "job:dch_request_duration_seconds:p99_rate5m{<prefix>,job='worker'}",
                    warn_at=0.1,
                    alarm_at=0.25,
                    detail="dch-serving",
                ),
                stat(
                    "Requests failed",
                    "percentunit",
                    "Error replies, refused requests and expired ones; see Serving.",
                    "job:dch_requests_failed:ratio_rate5m{<prefix>}",
                    warn_at=0.01,
                    alarm_at=0.05,
                    detail="dch-serving",
                ),
                stat(
                    "Age of the model",
                    "s",
                    "Since the fit of the model in service; see Training.",
                    "prefix:dch_model_age_seconds:min{<prefix>}",
                    warn_at=86400,
                    alarm_at=172800,
                    detail="dch-training",
                ),
                stat(
                    "Alerts firing",
                    "short",
                    "See Operations for their names; each has a heading in deploy/README.md.",
                    "count(ALERTS{<prefix>,alertstate='firing'}) or vector(0)",
                    warn_at=1,
                    alarm_at=1,
                    detail="dch-operations",
                ),
            ),
        ),
        (
            "Good, fresh, fast",
            tuple(replace(one, width=6) for one in (HIT_RATES, SERVED_HITS, FRESHNESS, RATES)),
        ),
        ("Healthy", (NEW_USERS, LAG, MEMORY)),
    ),
)
