"""Operations: the processes, by role."""

from panels import Dashboard, Panel, table


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
    "Alerts, and processes: up, ready, memory, restarts, versions.",
    (
        (
            "Alerts and versions",
            (
                table(
                    "Alerts that fire",
                    "short",
                    "Each has a heading in deploy/README.md: what it means, where to look, what to do.",
                    "max by (alertname, severity, job, instance) (ALERTS{<prefix>,alertstate='firing'})",
                ),
                table(
                    "Versions",
                    "short",
                    "What runs where.",
                    "max by (job, instance, version, python) (dch_build_info{<prefix>})",
                ),
            ),
        ),
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
                    width=6,
                ),
                Panel(
                    "Rebalances",
                    "short",
                    "Changes of assigned partitions within the last hour.",
                    (("{{instance}}", "increase(dch_rebalances_total{<prefix>,job='worker'}[1h])"),),
                    width=6,
                ),
                Panel(
                    "Scrapes",
                    "s",
                    "Duration of a scrape.",
                    (("{{job}} {{instance}}", "scrape_duration_seconds{<all>}"),),
                    warn_at=1,
                    width=6,
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
                    width=6,
                ),
            ),
        ),
        operations_of("worker"),
        operations_of("trainer"),
        operations_of("observer"),
    ),
)
