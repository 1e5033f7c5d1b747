"""The whole demo, run as a user runs it, on a small folder of ratings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dch import DchConfig, Recommender
from streams.client import RecommendClient
from streams.demo.cluster import start_cluster
from streams.demo.demo_data import read_demo_data
from streams.demo.main import run_newcomer
from streams.kafka import Admin, Producer
from streams.messages import RecommendRequest
from streams.publish import Pace, publish_ratings
from streams.settings import ClientSettings, KafkaSettings, TrainerSettings
from streams.topics import NewTopic
from tests.deploy.expressions import queries
from tests.deploy.live_run import Prometheus
from tests.deploy.prometheus_tools import find
from tests.streams.brokers import eventually

pytestmark = [pytest.mark.slow, pytest.mark.broker]

GENRES = ("Sci-Fi", "Drama", "Comedy")


@pytest.fixture
def folder(tmp_path):
    """A folder with ratings of 60 items by 150 users, who arrive over time and like one genre each."""
    rng = np.random.default_rng(0)
    lines = ["user,item,rating,timestamp"]
    for step in range(6000):
        user = int(rng.integers(max(20, 150 * step // 6000)))
        item = int(rng.integers(60))
        liked = item % 3 == user % 3
        rating = int(rng.integers(4, 6) if liked else rng.integers(1, 3))
        if liked or rng.random() < 0.4:
            lines.append(f"u{user},i{item},{rating},{1_700_000_000 + step}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines))
    items = [{"item": f"i{n}", "title": f"Film {n}", "genres": [GENRES[n % 3]]} for n in range(60)]
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(item) for item in items))
    return tmp_path


STEPS = ("in service", "after each rating", "Film ", "hit rate at 20", "Summary")
RUNS = "The service runs until Ctrl-C"
NOT_IN_A_DEMO = ("ratio_week", "dch_dead_letters_total", "by (alertname")
"""Parts of queries about what a demo lacks: a week before it, records that nobody can read, and alerts."""


def command(folder, *options):
    return [sys.executable, "-m", "streams", "demo", "--data", str(folder), *options]


def environment(tmp_path, **changes):
    """Return the variables of a demo that has a folder of its own for temporary files."""
    pytest.importorskip("noida_db")
    (tmp_path / "scratch").mkdir()
    return os.environ | {"TMPDIR": str(tmp_path / "scratch"), "COLUMNS": "100"} | changes


def require_complete(printed, tmp_path):
    for expected in STEPS:
        assert expected in printed
    assert [path.name for path in (tmp_path / "scratch").iterdir() if path.name.startswith("dch")] == []


def run_demo(folder, tmp_path, *options):
    """Run the demo to its end, with temporary files in a folder of its own; return what it printed."""
    done = subprocess.run(
        command(folder, *options), capture_output=True, text=True, timeout=1800, env=environment(tmp_path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    require_complete(done.stdout, tmp_path)
    return done.stdout


def test_the_demo_runs_to_its_summary_and_leaves_no_files(folder, tmp_path):
    """Where Prometheus is found it watches, and all that dashboards and alerts read there returns data."""
    binary = find("prometheus")
    folders = [str(Path(binary).parent)] if binary else []
    variables = environment(tmp_path, PATH=os.pathsep.join([*folders, os.environ["PATH"]]))
    started = time.time()
    with (tmp_path / "demo.log").open("w+") as log:
        demo = subprocess.Popen(
            command(folder, "--keep", "--watch"), stdout=log, stderr=subprocess.STDOUT, env=variables
        )
        try:
            printed = eventually(lambda: runs(demo, tmp_path / "demo.log"), 1800, 0.2)
            if binary:
                require_data(printed, started)
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.wait(120) == 0
    assert "generation 2 is in service" in printed
    require_complete(printed, tmp_path)


def runs(demo, log):
    """Return what the demo has printed once it runs; fail if it has ended."""
    printed = log.read_text()
    assert demo.poll() is None, printed
    return RUNS in printed and printed


def require_data(printed, started):
    """Ask for lists until every query of panels, rules and alerts has had data; name those without."""
    prometheus = Prometheus(re.search(r"Prometheus: (\S+)", printed)[1])
    broker = re.search(r"DCH_BOOTSTRAP_SERVERS=(\S+)", printed)[1]
    left = [(name, query) for name, query in queries() if not any(part in query for part in NOT_IN_A_DEMO)]

    def all_have_data():
        nonlocal left
        client.ask(RecommendRequest(user="u1"))
        left = [one for one in left if not prometheus.samples(one[1], started, time.time(), step_s=5)]
        return not left

    try:
        with RecommendClient(ClientSettings(bootstrap_servers=broker)) as client:
            eventually(all_have_data, 120, 1)
    finally:
        print(f"queries without data: {left}")


@pytest.mark.real_broker
@pytest.mark.prove
def test_on_a_running_broker_the_demo_leaves_no_topics(kafka, prefix, folder, tmp_path):
    admin = Admin(KafkaSettings(bootstrap_servers=kafka))
    admin.create([NewTopic(f"{prefix}ratings", 1, -1), NewTopic("dch-demo-of-somebody-else", 1, -1)])
    before = set(admin.partitions())
    printed = run_demo(folder, tmp_path, "--bootstrap-servers", kafka)
    assert "generation 2 is in service" in printed
    (own,) = set(re.findall(r"dch-demo-[0-9a-f]{8}-", printed))
    assert f"the topics {own}* were deleted" in printed
    eventually(lambda: not [name for name in admin.partitions() if name.startswith(own)])
    assert before <= set(admin.partitions())
    admin.delete([f"{prefix}ratings", "dch-demo-of-somebody-else"])


@pytest.mark.prove
def test_fifty_new_users_in_a_row_see_each_of_their_ratings_counted(folder):
    pytest.importorskip("noida_db")
    data, settings = read_demo_data(folder), TrainerSettings(bits=16)
    model = Recommender.fit(data.older, config=DchConfig(bits=16))
    with start_cluster(settings, print) as cluster:
        publish_ratings(data.older, Producer(cluster.settings), cluster.settings, pace=Pace(None))
        cluster.publish_generation(model)
        cluster.processes.wait_ready(cluster.start_role("worker"))
        cluster.wait_applied()
        for number in range(50):
            newcomer = run_newcomer(cluster, data, user=f"newcomer {number}")
            assert len(newcomer.visible_ms) == len(data.liked) == 5
