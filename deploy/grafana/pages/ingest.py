"""Ingest: ratings from Kafka to lists."""

from panels import FRESHNESS, Dashboard, Panel

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
