"""In a real run every panel, every recording rule and the left side of every alert returns data.

Set PROOF_PAGES to a folder to write the table and the pictures of the run there.
"""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.deploy.expressions import queries
from tests.deploy.live_run import FIRST_RATINGS, PARTITIONS, live_run, write_page
from tests.deploy.prometheus_tools import ROOT, tool
from tests.streams.brokers import eventually, own_cluster

WAIT_S = 900
RUN_S, PICTURED_S = 60, 480
"""The run lasts at least as long; for pictures longer, because windows of five minutes hold the start."""

STEP_S = 2
WITH_TRACES = ("dch_request_duration_seconds_bucket", "dch_event_to_visible_seconds_bucket")
ROLES = ("worker-1", "worker-2", "trainer", "observer")
HEAD = """# Every panel and rule on a real run

Written by `tests/deploy/test_proof.py`, with Prometheus {version} and {broker}: two workers, a trainer, an
observer, and the sample stream with new users, new items, bad records and refits, {seconds:.0f} s in all.
The week before was filled in with a constant, which is all that "our lists, week" shows. "Rating to list"
begins with the first {first:,} ratings, which were published before the workers started and count as live.
Topics have {partitions} partitions.

## What a scrape costs

The size of `/metrics` at the end of the run, uncompressed, and the time of a scrape over the run, on two
cores that everything shared.

| process | size | samples | seconds: median | highest |
|---|---:|---:|---:|---:|
{scrapes}
## Queries

{queries} queries. Samples are those of a range query over the run, with a step of 2 s. `.*` stands for
the variables prefix, job and instance of the dashboards, and `20s` for Grafana's `$__rate_interval`.

| panel or rule | query | series | samples |
|---|---|---|---|
"""


def has_traces(prometheus, metric, start):
    """Tell whether the samples of a metric have exemplars with trace ids."""
    found = prometheus.get("query_exemplars", query=metric, start=start, end=time.time())
    return any("trace_id" in one["labels"] for series in found for one in series["exemplars"])


def without_data(prometheus, left):
    """Return those of the queries that return nothing now, or only what is not a number."""
    return [
        (name, query)
        for name, query in left
        if all(one["value"][1] == "NaN" for one in prometheus.value(query))
    ]


@pytest.mark.prove
def test_every_query_returns_data_in_a_real_run(tmp_path):
    tool("prometheus")
    tool("promtool")
    with own_cluster(tmp_path / "kafka") as cluster, live_run(cluster.address, tmp_path) as run:
        see_data(run)
        for metric in WITH_TRACES:
            eventually(lambda: has_traces(run.prometheus, metric, run.started_at), WAIT_S, 2)  # noqa: B023
        folder = os.environ.get("PROOF_PAGES")
        run_s = PICTURED_S if folder else RUN_S
        eventually(lambda: time.time() - run.started_at > run_s, 2 * run_s)
        if folder:
            write(Path(folder), run)


def see_data(run):
    """Wait until every query returns data; name those that do not if that takes too long."""
    left = queries()

    def all_return_data():
        nonlocal left
        left = without_data(run.prometheus, left)
        run.processes.require_alive()
        return not left

    try:
        eventually(all_return_data, WAIT_S, 2)
    finally:
        print(f"queries without data: {left}")


def write(folder, run):
    """Write the table of the run, and draw the dashboards."""
    now = time.time()
    lines = [
        (name, f"`{query.replace('|', chr(92) + '|')}`", *count(run, query, now)) for name, query in queries()
    ]
    version = run.prometheus.get("status/buildinfo")["version"]
    head = HEAD.format(
        version=version,
        broker="Apache Kafka",
        seconds=now - run.started_at,
        partitions=PARTITIONS,
        first=FIRST_RATINGS,
        queries=len(lines),
        scrapes="".join(scrape_line(run, name, now) for name in ROLES),
    )
    write_page(folder / "monitoring-proof.md", lines, head)
    draw = ROOT / "deploy" / "grafana" / "draw.py"
    times = ["--start", str(run.ready_at), "--end", str(now)]
    subprocess.run([sys.executable, draw, run.prometheus.url, folder / "monitoring", *times], check=True)


def scrape_line(run, name, now):
    """Return the line of a process in the table of scrapes."""
    port = run.ports[name]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        size = len(answer.read())
    instance = f'{{instance="127.0.0.1:{port}"}}'
    (samples,) = run.prometheus.value(f"scrape_samples_scraped{instance}")
    (seconds,) = run.prometheus.samples(f"scrape_duration_seconds{instance}", run.ready_at, now)
    taken = sorted(float(value) for _, value in seconds["values"])
    middle, highest = taken[len(taken) // 2], taken[-1]
    return f"| {name} | {size / 1000:.0f} kB | {samples['value'][1]} | {middle:.3f} | {highest:.3f} |\n"


def count(run, query, now):
    """Return the number of series and of samples of a query over the run."""
    found = run.prometheus.samples(query, run.started_at, now)
    return len(found), sum(len(one["values"]) for one in found)


def test_queries_are_found_in_dashboards_rules_and_alerts():
    names = [name for name, _ in queries()]
    assert any(name.startswith("dch-overview: ") for name in names)
    assert "kind:dch_store_bytes:per_one" in names
    found = [query for name, query in queries() if name == "HitRateDropped"]
    assert found == [
        "new_users:dch_prequential_hits:ratio_rate1h",
        "new_users:dch_prequential_hits:ratio_rate1h",
        "new_users:dch_prequential_trials:rate1h * 3600",
    ]
