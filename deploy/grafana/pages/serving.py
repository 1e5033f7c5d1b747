"""Serving: requests, their latency and their cost."""

from panels import Dashboard, Panel

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
                            "(rate(dch_request_duration_seconds_bucket{<all>,outcome!='forwarded'}"
                            "[$__rate_interval])))",
                        ),
                        ("all p50", "job:dch_request_duration_seconds:p50_rate5m{<prefix>,job='worker'}"),
                    ),
                    warn_at=0.1,
                    alarm_at=0.25,
                ),
                Panel(
                    "Requests by outcome",
                    "reqps",
                    "ok: a list. error: an error reply, which says what to do. refused: an error reply to "
                    "a request above a limit. forwarded: sent on to the owner of the user, which counts it "
                    "again. expired: dropped after its deadline.",
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
                    "Error replies, refused requests and expired ones, over all that were not forwarded.",
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
