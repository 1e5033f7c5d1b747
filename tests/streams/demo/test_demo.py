"""The parts of the demo; ``test_whole_demo`` runs all of it."""

import io
import json

import pytest
from rich.console import Console

from dch.data.ratings import Ratings
from dch.state.prequential import COHORTS
from streams import metrics
from streams.demo.demo_data import DemoData, read_demo_data
from streams.demo.newcomer import NEWCOMER, rate_liked_items
from streams.demo.processes import DemoError, Processes
from streams.demo.report import cohort_table, newcomer_table, summary
from streams.demo.worker_metrics import CohortCounts, WorkerCounts, read_worker
from streams.errors import SettingsError
from streams.health import Health
from streams.messages import RecommendedItem, RecommendReply


def test_ratings_are_split_by_time_and_the_new_user_likes_items_of_one_genre(tmp_path):
    users = [f"u{n % 40}" for n in range(2000)]
    items = [f"i{n % 50}" for n in range(2000)]
    rows = "\n".join(f"{u},{i},5,{2000 - n}" for n, (u, i) in enumerate(zip(users, items, strict=True)))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows)
    records = [{"item": f"i{n}", "genres": ["Sci-Fi" if n % 2 else "Drama"]} for n in range(50)]
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    with pytest.raises(SettingsError, match="at least 1,000 ratings"):
        read_demo_data(tmp_path)  # 200 distinct pairs

    more = "\n".join(f"u{n},i{n % 47},4,{5000 + n}" for n in range(1500))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows + "\n" + more)
    data = read_demo_data(tmp_path)
    assert abs(len(data.older) - len(data.newer)) <= 1
    assert data.older.timestamps.max() <= data.newer.timestamps.min()
    assert len(data.liked) == 5
    assert all(int(item[1:]) % 2 for item in data.liked)


def test_the_metrics_of_a_worker_are_read_by_cohort():
    metrics.MODEL_INFO.clear()
    metrics.MODEL_INFO.labels("7").set(1)
    cohort = COHORTS[1]
    with Health("127.0.0.1", 0, {}) as health:
        address = f"http://127.0.0.1:{health.port}"
        before = read_worker(address)
        metrics.PREQUENTIAL_TRIALS.labels(cohort).inc(10)
        metrics.PREQUENTIAL_HITS.labels(cohort).inc(4)
        metrics.PREQUENTIAL_POPULAR_HITS.labels(cohort).inc(2)
        after = read_worker(address)
    assert after.generation == 7
    added = [new - old for new, old in zip(after.cohorts[cohort], before.cohorts[cohort], strict=True)]
    assert added == [10, 4, 2]
    assert after.total.trials - before.total.trials == 10


def demo_data(liked):
    ratings = Ratings.from_events(["u"], ["i"], [5])
    return DemoData("test", ratings, older=ratings, newer=ratings, liked=liked)


def reply(code, *items):
    found = tuple(RecommendedItem(item, 1, 1.0) for item in items)
    return RecommendReply(items=found, generation=1, strategy="codes", staleness_s=0.0, code=code)


def test_the_new_user_requests_again_until_each_rating_changes_the_reply():
    replies = iter([reply(None, "a"), reply(None, "a"), reply("0f", "b"), reply("0f", "b"), reply("ff", "c")])
    rated = []
    newcomer = rate_liked_items(
        demo_data(["x", "y"]), lambda user: next(replies), lambda *event: rated.append(event)
    )
    assert rated == [(NEWCOMER, "x", 5.0), (NEWCOMER, "y", 5.0)]
    assert [titles for _, titles in newcomer.lists] == [["a"], ["b"], ["c"]]
    assert len(newcomer.visible_ms) == 2


def test_the_report_shows_the_counts_and_accepts_cohorts_without_trials():
    console = Console(width=120, record=True, file=io.StringIO())
    counts = dict.fromkeys(COHORTS, CohortCounts(0, 0, 0)) | {COHORTS[0]: CohortCounts(200, 50, 20)}
    console.print(cohort_table(WorkerCounts(2, counts)))
    console.print(newcomer_table([("before", ["A", "B"]), ("after", ["B", "C"])], 5))
    console.print(summary([("duration", "3 s")]))
    text = console.export_text()
    for expected in ("25.0%", "10.0%", "2.5x", "before", "C", "duration"):
        assert expected in text


def test_a_process_that_ends_is_reported_with_the_end_of_its_log(tmp_path):
    with Processes(tmp_path) as processes:
        child = processes.start("train", ["train", "no such file", "--out", "x"], {"PATH": "/usr/bin"})
        child.process.wait(60)
        with pytest.raises(DemoError, match="train ended with exit code"):
            processes.wait_ready(child, "http://127.0.0.1:9", within_s=5)
