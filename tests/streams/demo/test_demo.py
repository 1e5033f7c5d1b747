"""The parts of the demo; ``test_whole_demo`` runs all of it."""

import io
import json
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from dch.data.ratings import Ratings
from dch.errors import DchError
from dch.state.prequential import COHORTS
from streams import metrics, topics
from streams.demo import cluster as cluster_module
from streams.demo import demo_data as demo_data_module
from streams.demo import main as demo_module
from streams.demo import processes as processes_module
from streams.demo.cluster import ANY_PORT, join_cluster, start_cluster
from streams.demo.demo_data import DemoData, n_records, read_demo_data
from streams.demo.live_stream import Progressed, Refit
from streams.demo.main import keep_command
from streams.demo.newcomer import NEWCOMER, ask_until, rate_liked_items
from streams.demo.processes import Child, DemoError, Processes
from streams.demo.report import cohort_table, newcomer_table, summary
from streams.demo.role_metrics import CohortCounts, WorkerCounts, read_refits, read_worker
from streams.errors import BrokerUnavailableError, ReplyTimeout, SettingsError
from streams.health import Health
from streams.kafka import Admin
from streams.messages import ErrorReply, RecommendedItem, RecommendReply
from streams.settings import TrainerSettings
from tests.streams.brokers import eventually
from tests.streams.cli.running import dch

__all__ = ["dch"]


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
    metrics.MODEL_INFO.labels("7", "0f3a", "store/gen-7").set(1)
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
    return DemoData("test", ratings, older=ratings, newer=ratings, liked=liked, n_in_file=1)


def reply(ratings, *items, code="0f"):
    found = tuple(RecommendedItem(item, 1, 1.0) for item in items)
    return RecommendReply(
        items=found, generation=1, strategy="codes", staleness_s=0.0, code=code, ratings=ratings
    )


class Client:
    """A client that gets these replies, one after the other; the last one again and again."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def ask(self, request):
        found = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def processes(tmp_path):
    """No processes, so that none has ended."""
    with Processes(tmp_path) as found:
        yield found


def test_a_rating_that_leaves_the_code_as_it_is_shows_in_the_replies(processes):
    client = Client(
        reply(0, "a"), reply(0, "a"), reply(1, "b"), reply(1, "b", code="ff"), reply(1, "b"), reply(2, "c")
    )
    rated = []
    newcomer = rate_liked_items(
        demo_data(["x", "y"]),
        lambda *wanted: ask_until(client, processes, *wanted),
        lambda *event: rated.append(event),
    )
    assert rated == [(NEWCOMER, "x", 5.0), (NEWCOMER, "y", 5.0)]
    assert [titles for _, titles in newcomer.lists] == [["a"], ["b"], ["c"]]
    assert len(newcomer.visible_ms) == 2


def test_a_request_without_a_reply_or_with_an_error_is_sent_again(processes):
    client = Client(ReplyTimeout("no reply"), ErrorReply("not ready"), ReplyTimeout("no reply"), reply(3))
    assert ask_until(client, processes, "u", 3).ratings == 3


@pytest.mark.parametrize(
    ("last", "seen"),
    [
        (reply(1), "a reply of generation 1 that rests on 1 ratings"),
        (ErrorReply("not ready"), "the error 'not ready'"),
        (ReplyTimeout("no reply to request 1234"), "the error 'no reply yet'"),
    ],
)
def test_a_rating_that_never_shows_is_an_error_that_says_what_was_seen(processes, monkeypatch, last, seen):
    monkeypatch.setattr(processes_module, "PATIENCE_S", 0.0)
    with pytest.raises(DemoError, match="a reply to u that rests on 2 ratings, and nothing changed") as error:
        ask_until(Client(last), processes, "u", 2)
    assert f"seen last: {seen};" in str(error.value)


class Clock:
    """A clock that moves by a second whenever it is read."""

    now = 0.0

    def monotonic(self):
        self.now += 1
        return self.now

    def sleep(self, seconds):
        pass


def test_waiting_goes_on_as_long_as_anything_changes(processes, monkeypatch):
    monkeypatch.setattr(processes_module, "time", Clock())
    monkeypatch.setattr(processes_module, "PATIENCE_S", 5.0)
    counts = iter([*range(100), *[100] * 50])
    assert processes.wait_for("99", lambda: next(counts), lambda found: found == 99) == 99
    with pytest.raises(DemoError, match="waited for 101, and nothing changed for 5 s; seen last: 100"):
        processes.wait_for("101", lambda: next(counts), lambda found: found == 101)


def test_waiting_ends_when_a_process_has_ended(processes, tmp_path):
    child = processes.start("train", ["train", "no such file", "--out", "x"], {"PATH": "/usr/bin"})
    with pytest.raises(DemoError, match="train ended with exit code"):
        processes.wait_for("nothing", lambda: None, lambda found: False)
    assert child.process.poll() is not None


def counts_of(generation, n_refused=0):
    return WorkerCounts(generation, dict.fromkeys(COHORTS, CohortCounts(0, 0, 0)), n_refused)


@pytest.mark.parametrize(
    ("worker", "refits", "is_done"),
    [
        (None, {}, False),
        (counts_of(1), {}, False),
        (counts_of(2), {}, True),
        (counts_of(1), {"published": 1}, False),  # the worker has not swapped yet
        (None, {"published": 1}, False),
        (counts_of(1, n_refused=1), {"published": 1}, True),
        (counts_of(1), {"rejected": 1}, True),
        (counts_of(1), {"unmeasured": 1}, True),
        (None, {"failed": 1}, True),
        (counts_of(1), {"failed": 1, "published": 1}, False),
    ],
)
def test_the_refit_is_waited_for_until_it_is_in_service_or_will_not_be(worker, refits, is_done):
    assert Progressed(worker, refits).is_done == is_done


def test_the_outcomes_of_refits_are_read_and_a_role_without_an_answer_is_no_error():
    before = metrics.REFITS.labels("rejected")._value.get()
    metrics.REFITS.labels("rejected").inc()
    with Health("127.0.0.1", 0, {}) as health:
        address = f"http://127.0.0.1:{health.port}"
        assert read_refits(address)["rejected"] == before + 1
    assert read_refits(address) == {}
    assert read_worker(address) is None


def test_of_too_many_ratings_the_newest_are_taken_with_their_users_and_items(tmp_path):
    rows = "\n".join(f"u{n // 10},i{n % 997},{1 + n % 5},{1000 + n}" for n in range(3000))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows)
    items = "\n".join(json.dumps({"item": f"i{n}", "title": f"T{n}"}) for n in range(2000))
    (tmp_path / "items.jsonl").write_text(items)
    at_most = int(2.6 * 1200) + 997 + 3 * 997
    data, everything = read_demo_data(tmp_path, at_most), read_demo_data(tmp_path)
    assert (len(data.ratings), data.n_in_file) == (1200, 3000)
    assert n_records(data.ratings) == at_most
    assert (len(everything.ratings), everything.n_in_file) == (3000, 3000)
    assert (data.ratings.timestamps == everything.ratings.timestamps[-1200:]).all()
    assert (data.ratings.values == everything.ratings.values[-1200:]).all()
    assert list(data.ratings.user_ids) == [f"u{n}" for n in range(180, 300)]
    assert set(data.ratings.item_features) == set(data.ratings.item_ids) == {f"i{n}" for n in range(997)}
    assert data.title("i5") == "T5"


@pytest.mark.parametrize("seed", range(3))
def test_as_many_of_the_newest_ratings_are_taken_as_come_to_the_limit_with_all_records(tmp_path, seed):
    """Fewer where ratings name many users and items, or these have features."""
    chance = np.random.default_rng(seed)
    n, n_users, n_items = 2500, int(chance.integers(50, 2000)), int(chance.integers(50, 2000))
    users, items = chance.integers(n_users, size=n), chance.integers(n_items, size=n)
    ratings = Ratings.from_events(
        users,
        items,
        np.full(n, 5.0),
        np.arange(n) + 1,
        user_features={str(row): {"age": 20} for row in range(0, n_users, 2)},
        item_features={str(row): {"year": 1999} for row in range(0, n_items, 3)},
    )
    counts = [n_records(demo_data_module._newest(ratings, k)) for k in range(1, len(ratings) + 1)]
    for at_most in chance.integers(counts[0], counts[-1] + 100, size=20):
        expected = sum(count <= at_most for count in counts)
        assert demo_data_module._n_fitting(ratings, int(at_most)) == expected


def test_many_items_with_features_alone_do_not_come_to_the_embedded_broker(tmp_path):
    rows = "\n".join(f"u{n % 100},i{n % 499},5,{1000 + n}" for n in range(2000))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows)
    (tmp_path / "items.jsonl").write_text(
        "\n".join(json.dumps({"item": f"i{n}", "year": 1}) for n in range(5000))
    )
    data = read_demo_data(tmp_path, 10_000)
    assert len(data.ratings) == data.n_in_file
    assert n_records(data.ratings) <= 10_000 < n_records(read_demo_data(tmp_path).ratings)


@pytest.mark.parametrize("is_embedded", [True, False])
def test_the_demo_takes_as_many_ratings_as_the_embedded_broker_holds_and_says_so(
    dch, tmp_path, monkeypatch, is_embedded
):
    fitted = []

    def fit(ratings, **kwargs):
        fitted.append(len(ratings))
        raise DchError("the test ends here")

    monkeypatch.setattr(demo_module, "MAX_RECORDS", 6000)
    monkeypatch.setattr(demo_module, "require_broker", lambda settings: None)
    monkeypatch.setattr(demo_module.Recommender, "fit", fit)
    rows = "\n".join(f"u{n % 97},i{n % 100},5,{1000 + n}" for n in range(4000))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows)
    broker = [] if is_embedded else ["--bootstrap-servers", "elsewhere:9092"]
    ran = dch("demo", "--data", tmp_path, *broker)
    n_taken = int((6000 - 300) / 2.6) if is_embedded else 4000
    assert "the test ends here" in ran.err
    assert fitted == [n_taken // 2]
    assert f"{n_taken:,} ratings of 100 items by 97 users" in ran.out
    assert ("These are the newest of 4,000 ratings" in ran.out) is is_embedded
    assert ("some 6,000" in ran.out) is is_embedded


def test_the_command_that_keeps_the_demo_running_has_the_arguments_of_this_run():
    assert keep_command(None, None).endswith("dch demo --keep")
    assert keep_command(Path("my plays.csv"), "there:9092").endswith(
        "dch demo --keep --data 'my plays.csv' --bootstrap-servers there:9092"
    )


def test_the_commands_to_try_rate_an_item_with_dch_alone(tmp_path, capsys):
    def press_ctrl_c():
        raise KeyboardInterrupt

    cluster = SimpleNamespace(
        settings=TrainerSettings(), processes=SimpleNamespace(require_alive=press_ctrl_c)
    )
    demo_module._keep_running(cluster, SimpleNamespace(liked=["318"]), "http://here", Console())
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    (rate,) = [line for line in lines if "dch publish" in line]
    write, publish = rate.split(" && ")
    subprocess.run(write, shell=True, check=True, cwd=tmp_path)
    found = Ratings.read(tmp_path / "me.csv")
    assert (list(found.user_ids), list(found.item_ids), found.values.tolist()) == (["me"], ["318"], [5.0])
    assert publish == "dch publish me.csv --ratings-only"


def test_without_movielens_the_error_names_the_wheel_and_the_extra(monkeypatch):
    monkeypatch.setattr(demo_data_module, "find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"recbole==1\.2\.1 .*'\.\[demo\]'\), or give a folder .*--data DIR"
    ):
        read_demo_data(None)


def test_the_report_shows_the_counts_and_accepts_cohorts_without_trials():
    console = Console(width=120, record=True, file=io.StringIO())
    counts = dict.fromkeys(COHORTS, CohortCounts(0, 0, 0)) | {COHORTS[0]: CohortCounts(200, 50, 20)}
    console.print(cohort_table(WorkerCounts(2, counts)))
    console.print(newcomer_table([("before", ["A", "B"]), ("after", ["B", "C"])], 5))
    console.print(summary([("duration", "3 s")]))
    console.print(Refit(WorkerCounts(2, counts), "published").tried_by)
    console.print(Refit(WorkerCounts(1, counts), "worse").tried_by)
    text = console.export_text()
    for expected in (
        "25.0%",
        "10.0%",
        "2.5x",
        "before",
        "C",
        "duration",
        "of generation 2 once it was",
        "lists of generation 1\n",
    ):
        assert expected in text


def test_a_process_that_ends_is_reported_with_the_end_of_its_log(tmp_path):
    with Processes(tmp_path) as processes:
        child = processes.start("train", ["train", "no such file", "--out", "x"], {"PATH": "/usr/bin"})
        with pytest.raises(DemoError, match=r"(?s)train ended with exit code .*no such file"):
            processes.wait_ready(child)


@pytest.mark.broker
def test_a_port_that_another_program_takes_first_is_no_error(monkeypatch):
    pytest.importorskip("noida_db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(cluster_module, "DEFAULT_PORT", taken.getsockname()[1])
        monkeypatch.setattr(cluster_module, "_is_free", lambda port: True)
        with start_cluster(TrainerSettings(partitions=1), [].append) as found:
            assert found.settings.bootstrap_servers != f"127.0.0.1:{taken.getsockname()[1]}"
            assert "ratings" in Admin(found.settings).partitions()


def test_on_a_running_broker_only_topics_of_the_demo_are_created_and_deleted(settings):
    admin = Admin(settings)
    before, said = set(admin.partitions()), []
    with join_cluster(settings.as_role(TrainerSettings, partitions=1), said.append) as found:
        own = {name for name in admin.partitions() if name.startswith(found.settings.prefix)}
        assert own == {found.settings.prefix + topic.name for topic in topics.EVERY_TOPIC}
        assert found.settings.prefix.startswith("dch-demo-")
    eventually(lambda: not own & set(admin.partitions()))  # the other brokers learn of it a little later
    assert before <= set(admin.partitions())
    assert [found.settings.prefix in sentence for sentence in said] == [True, True]
    assert "were deleted" in said[1]


def test_topics_that_cannot_be_deleted_are_named(settings, monkeypatch):
    def fail(admin, names):
        raise BrokerUnavailableError("the broker refused: no permission")

    said = []
    with monkeypatch.context() as patched:
        patched.setattr(Admin, "delete", fail)
        with join_cluster(settings.as_role(TrainerSettings, partitions=1), said.append) as found:
            prefix = found.settings.prefix
    assert f"the topics {prefix}* were kept, because" in said[1]
    assert "no permission; to delete them: kafka-topics.sh" in said[1]
    admin = Admin(settings)
    admin.delete([name for name in admin.partitions() if name.startswith(prefix)])


def test_the_roles_get_the_settings_of_the_demo_and_none_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DCH_PREFIX", "shop-")
    monkeypatch.setenv("DCH_GROUP", "shop")
    started = {}

    class Recorded(Processes):
        def start(self, name, arguments, environment):
            started[name] = arguments, environment
            return Child(name, None, tmp_path / "log")

    settings = TrainerSettings(bootstrap_servers="h:1", prefix="p-", kafka={"ssl.ca.location": "ca.pem"})
    found = cluster_module.DemoCluster(settings, tmp_path, Recorded(tmp_path))
    found.start_role("trainer", refit_ratings=7)
    arguments, environment = started["trainer"]
    assert arguments == ["trainer"]
    wanted = {"DCH_BOOTSTRAP_SERVERS": "h:1", "DCH_PREFIX": "p-", "DCH_REFIT_RATINGS": "7", "DCH_GROUP": ""}
    wanted |= {"DCH_METRICS_PORT": str(ANY_PORT), "DCH_KAFKA_SSL_CA_LOCATION": "ca.pem"}
    assert wanted.items() <= environment.items()
