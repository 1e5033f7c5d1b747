"""Every command has help with an example, errors of one sentence, and exit codes for scripts."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dch import Recommender
from streams.cli.options import FLAGS
from streams.kafka import Admin
from streams.settings import KafkaSettings
from streams.settings.sources import outer_environ
from streams.topics import EVERY_TOPIC, OPTIONAL
from tests.streams.cli.running import dch
from tests.streams.test_topics import Broker

__all__ = ["dch"]

COMMANDS = (
    "demo",
    "broker start",
    "train",
    "topics create",
    "topics check",
    "evaluate",
    "experiment",
    "worker",
    "trainer",
    "publish",
    "recommend",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(dch, command):
    ran = dch(*command.split(), "--help")
    assert ran.code == 0, ran.err
    assert f"dch {command}" in " ".join(ran.out.split("Example")[-1].split())


@pytest.mark.parametrize("group", [(), ("broker",), ("topics",)])
def test_an_incomplete_command_shows_help(dch, group):
    ran = dch(*group)
    assert ran.code == 2
    assert "Usage" in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            "topics check --bootstrap-servers 127.0.0.1:1 --broker-timeout-s 0.3",
            1,
            "no broker at 127.0.0.1:1 answered",
        ),
        ("worker --partitions 0", 2, "partitions must be 1 to 10000, got '0'; set it by --partitions"),
        ("worker --refit-ratings 5", 2, "--refit-ratings is a setting of dch trainer, not of dch worker"),
        ("trainer --new-item-share 1", 2, "--new-item-share is a setting of dch worker, not of dch trainer"),
        (
            "trainer --accept-unmeasured",
            2,
            "--accept-unmeasured is for one refit; run: dch trainer --once --accept-unmeasured",
        ),
        ("recommend u1 --bits 64", 2, "--bits is a setting of dch trainer, not of dch recommend"),
        (
            "topics check --metrics-port 1",
            2,
            "--metrics-port is a setting of dch worker, dch trainer and dch observer, not of dch topics",
        ),
        ("worker --request-timeout-s 1", 2, "--request-timeout-s is a setting of dch recommend, "),
        (
            "worker --config {tmp}/dch.toml",
            2,
            "dch.toml: No such file or directory",
        ),
        (
            "worker --kafka bootstrap.servers=a:1",
            2,
            "kafka must not hold bootstrap.servers; set it by --bootstrap-servers or",
        ),
        ("recommend u --kafka metadata.broker.list=a:1", 2, "set it by --bootstrap-servers or"),
        ("topics create --kafka ssl", 2, "kafka must be key=value, got a value without a key or without '='"),
        ("evaluate", 2, "give either a file of ratings, or both --train and --test"),
        ("evaluate x.csv --bits 60", 2, "bits must be"),
        ("evaluate x.csv --seeds a", 2, "--seeds must be whole numbers separated by commas, got 'a'"),
        ("evaluate x.csv --protocol guess", 2, "--protocol must be holdout or prequential, got 'guess'"),
        (
            "evaluate x.csv --json /nowhere/out.json",
            2,
            "--json /nowhere/out.json cannot be written: No such file",
        ),
        (
            "train {tmp}/one.csv --out /dev/null/model",
            2,
            "--out /dev/null/model cannot be created: /dev/null is not a folder",
        ),
        ("train {tmp}/one.csv --out {tmp}/one.csv", 2, "one.csv is not a folder"),
        (
            "train {tmp}/one.csv --out {tmp}",
            2,
            "holds files other than a model; give an empty or a new folder",
        ),
        ("train {tmp}/bad.csv --out {tmp}/model", 1, "bad.csv:1: no column for the user"),
        ("train {tmp}/nothing.csv --out {tmp}/model", 2, "nothing.csv: no such file or folder"),
        ("evaluate {tmp}/nothing.csv", 2, "nothing.csv: no such file or folder"),
        (
            "evaluate --train {tmp}/one.csv --test {tmp}/nothing.csv",
            2,
            "nothing.csv: no such file or folder",
        ),
        ("publish {tmp}/nothing.csv", 2, "nothing.csv: no such file or folder"),
        ("publish {tmp}/empty.csv --bootstrap-servers 127.0.0.1:1", 1, "empty.csv: the file is empty"),
        ("publish {tmp}/one.csv --bootstrap-servers 127.0.0.1:1 --broker-timeout-s 0.3", 1, "no broker at"),
        ("recommend u1 --bootstrap-servers 127.0.0.1:1 --broker-timeout-s 0.3", 1, "no broker at"),
    ],
)
def test_an_error_is_one_sentence_and_leaves_no_file_behind(dch, tmp_path, arguments, code, sentence):
    (tmp_path / "one.csv").write_text("user,item,rating\nu1,i1,5\n")
    (tmp_path / "bad.csv").write_text("\n")
    (tmp_path / "empty.csv").write_text("")
    ran = dch(*arguments.format(tmp=tmp_path).split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "empty.csv", "one.csv"]
    assert ran.code == code
    lines = [line for line in ran.err.splitlines() if line.startswith("dch: ")]
    assert len(lines) == 1, ran.err
    assert sentence in lines[0]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "arguments", ["worker --colour red", "recommend", "broker start --data d --port x", "brew"]
)
def test_the_exit_code_of_wrong_usage_is_2(dch, arguments):
    ran = dch(*arguments.split())
    assert ran.code == 2
    assert "Traceback" not in ran.err


def write_ratings(path, offset=0):
    rows = [f"u{n % 50},i{(n * 7 + n // 50 + offset) % 40},{1 + n % 5},{n}" for n in range(1000)]
    path.write_text("user,item,rating,timestamp\n" + "\n".join(rows))
    return path


@pytest.mark.parametrize(
    ("command", "given", "suggested"),
    [
        ("worker", "--bogus", set()),
        ("worker", "--partition", {"--partitions"}),
        ("worker", "--bit", set()),
        ("trainer", "--bit", {"--bits"}),
    ],
)
def test_a_mistyped_option_is_compared_with_the_options_of_its_command_alone(dch, command, given, suggested):
    ran = dch(command, given, "8")
    assert ran.code == 2
    assert f"No such option: {given}" in ran.err
    found = set(re.findall(r"--[a-z-]+", ran.err)) - {given}
    assert suggested <= found <= set(re.findall(r"--[a-z-]+", dch(command, "--help").out))
    assert "--bits" not in found - suggested


@pytest.mark.parametrize("protocol", ["holdout", "prequential", "given"])
def test_an_evaluation_prints_a_table_and_writes_json(dch, tmp_path, protocol):
    first, out = write_ratings(tmp_path / "a.csv"), tmp_path / "out.json"
    files = {
        "given": ["--train", first, "--test", write_ratings(tmp_path / "b.csv", 3), "--relevant-from", 0]
    }
    ran = dch(
        "evaluate",
        *files.get(protocol, [first, "--protocol", protocol]),
        *("--seeds", "0,1", "--bits", 16, "--json", out),
    )
    assert ran.code == 0, ran.err
    assert "codes+rerank" in ran.out
    table = ran.out[ran.out.index("case ") :]  # progress comes before
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    report = json.loads(out.read_text())
    assert list(report) == ["protocol", "fit_seconds", "results"]
    assert report["protocol"]["seeds"] == [0, 1]
    strategies = {"codes+rerank", "popular"}
    strategies |= {"codes", "codes-weighted"} if protocol != "prequential" else set()
    assert {result["strategy"] for result in report["results"]} == strategies
    shown = re.findall(r"\d\.\d{3}(?= )", table)
    names = strategies | ({"EUEI", "NUEI", "EUNI-new", "EUNI-all"} if protocol == "holdout" else set())
    assert all(f"\n{name}: " in table for name in names)
    assert sorted(shown) == sorted(f"{result['mean']:.3f}" for result in report["results"])
    assert list(report["results"][0]) == ["strategy", "case", "metric", "mean", "std", "users"]


def test_a_file_is_read_as_the_options_say(dch, tmp_path):
    rows = [f"caf\xe9 {n % 50};i{(n * 7 + n // 50) % 40};{1 + n % 5};x" for n in range(1000)]
    file, out = tmp_path / "plain.csv", tmp_path / "model"
    file.write_bytes("\n".join(rows).encode("latin-1"))
    options = ["--no-header", "--encoding", "latin-1", "--time-column", "none", "--bits", 8]
    ran = dch("train", file, "--out", out, *options)
    assert ran.code == 0, ran.err
    assert Recommender.load(out).user_code("caf\xe9 1") is not None
    refused = dch("train", file, "--out", out)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "give --encoding latin-1" in refused.err
    assert dch("train", file, "--out", out, "--encoding", "klingon").code == 2


def test_what_is_not_used_is_said_on_standard_error(tmp_path):
    write_ratings(tmp_path / "ratings.csv")
    (tmp_path / "meta.jsonl").touch()
    command = [
        sys.executable,
        "-m",
        "streams",
        "train",
        tmp_path / "ratings.csv",
        "--out",
        tmp_path / "model",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stderr.count("meta.jsonl: looks like metadata of items and is not used") == 1
    assert ran.stderr.count("so they are read as an order") == 1


def test_a_trained_model_can_be_loaded(dch, tmp_path):
    ratings = write_ratings(tmp_path / "ratings.csv")
    ran = dch("train", ratings, "--out", tmp_path / "model", "--bits", 16)
    assert ran.code == 0, ran.err
    assert "of 40 items by 50 users" in ran.out
    assert len(Recommender.load(tmp_path / "model").recommend("u1", k=5)) == 5
    found = {}
    exec(ran.out.splitlines()[-1].removeprefix("to use it, in Python: ").replace("; ", "; hits = "), found)
    assert len(found["hits"]) == 20


BLOCKED = """
import sys
for name in ("confluent_kafka", "prometheus_client", "fsspec", "noida_db", "torch", "implicit", "scipy"):
    sys.modules[name] = None
sys.argv = ["dch", *sys.argv[1:]]
from streams.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("--help", 0, ""),
        ("evaluate --help", 0, ""),
        ("train --help", 0, ""),
        ("worker --help", 0, ""),
        (
            "topics check",
            1,
            "needs confluent-kafka, which is not installed; run: pip install -c constraints.txt '.[streams]'",
        ),
        (
            "train {tmp}/ratings.csv --out {tmp}/model",
            1,
            "a fit needs torch, which is not installed; run: pip install -c constraints.txt '.[fit]'",
        ),
        (
            "broker start --data {tmp}",
            1,
            "noida-db, which is not installed; run: pip install -c constraints.txt '.[demo]'",
        ),
    ],
)
def test_without_the_extras_help_works_and_other_commands_say_what_to_install(
    tmp_path, arguments, code, sentence
):
    write_ratings(tmp_path / "ratings.csv")
    command = [sys.executable, "-c", BLOCKED, *arguments.format(tmp=tmp_path).split()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == code, ran.stderr
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


def test_help_imports_neither_the_library_nor_torch_nor_kafka():
    code = "import sys; from streams.cli.main import build; build(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    slow = {"dch", "numpy", "numba", "torch", "implicit", "confluent_kafka", "prometheus_client"}
    assert not slow & set(ran.stdout.split())


def flags_in_help(dch, command):
    return set(re.findall(r"(--[a-z-]+)", dch(*command.split(), "--help").out))


def test_the_help_of_a_role_lists_no_setting_of_another_role(dch, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    worker, trainer = flags_in_help(dch, "worker"), flags_in_help(dch, "trainer")
    assert {
        "--new-item-share",
        "--prequential-k",
        "--reply-prefixes",
        "--encode-interval-s",
    } <= worker - trainer
    assert {
        "--refit-ratings",
        "--refit-margin",
        "--bits",
        "--device",
        "--once",
        "--accept-unmeasured",
    } <= trainer - worker
    assert {"--bootstrap-servers", "--artifacts", "--metrics-port", "--config", "--kafka"} <= worker & trainer
    assert flags_in_help(dch, "recommend") == {
        *("--bootstrap-servers", "--prefix", "--broker-timeout-s", "--kafka", "--request-timeout-s"),
        *("--config", "--json", "--explain", "--help"),
    }
    topics = {"--bootstrap-servers", "--prefix", "--broker-timeout-s", "--kafka", "--config", "--help"}
    topics |= {"--partitions", "--replication-factor"}
    assert flags_in_help(dch, "topics create") == flags_in_help(dch, "topics check") == topics
    assert flags_in_help(dch, "publish") == topics | {
        *("--linger-ms", "--broker-patience-s", "--key-form", "--rate", "--ratings-only"),
        *("--user-column", "--item-column", "--rating-column", "--time-column"),
        *("--delimiter", "--encoding", "--no-header"),
    }


def test_the_help_of_an_observer_says_which_settings_of_librdkafka_it_takes(dch, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert "Any librdkafka setting" in dch("worker", "--help").out
    help_ = dch("observer", "--help").out
    assert "A setting of SASL or TLS as key=value" in help_
    assert "Any librdkafka setting" not in help_


def test_every_flag_of_a_command_is_one_of_its_settings():
    for role, shown in FLAGS.values():
        assert set(shown) <= set(role.model_fields)


def test_a_configuration_file_gives_settings_and_a_flag_wins_over_it(dch, tmp_path):
    (tmp_path / "dch.toml").write_text('bootstrap_servers = "127.0.0.1:1"\nbroker_timeout_s = 0.3\n')
    ran = dch("topics", "check", "--config", tmp_path / "dch.toml")
    assert "no broker at 127.0.0.1:1 answered within 0.3 s" in ran.err
    ran = dch("topics", "check", "--config", tmp_path / "dch.toml", "--bootstrap-servers", "127.0.0.1:2")
    assert "no broker at 127.0.0.1:2 answered within 0.3 s" in ran.err


def test_an_unknown_variable_is_one_warning_on_standard_error():
    command = [sys.executable, "-m", "streams", "worker", "--partitions", "0"]
    environ = outer_environ() | {"DCH_PARTITION": "7", "DCH_BITS": "64"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert ran.returncode == 2
    (warning,) = [line for line in ran.stderr.splitlines() if "DCH_PARTITION " in line]
    assert "WARNING" in warning
    assert warning.endswith(
        "DCH_PARTITION is not a variable of dch and is ignored; did you mean DCH_PARTITIONS?"
    )
    assert "DCH_BITS" not in ran.stderr


def test_the_version_is_that_of_the_package(dch):
    ran = dch("--version")
    assert (ran.code, ran.out) == (0, f"dch {version('dch-streams')}\n")


def test_topics_are_created_and_checked(dch, broker, prefix):
    where = ("--bootstrap-servers", broker, "--prefix", prefix)
    assert dch("topics", "check", *where).code == 2
    made = dch("topics", "create", *where, "--partitions", 3)
    assert made.code == 0, made.err
    assert f"created {prefix}ratings" in made.out.splitlines()
    again = dch("topics", "create", *where, "--partitions", 3)
    assert again.out.splitlines() == [f"{len(EVERY_TOPIC)} topics match their definitions, 0 of them new"]
    assert dch("topics", "check", *where, "--partitions", 3).code == 0
    differs = dch("topics", "check", *where)
    assert differs.code == 2
    assert f"topic {prefix}ratings has 3 partitions, expected 4" in differs.err
    admin = Admin(KafkaSettings(bootstrap_servers=broker))
    admin.delete([name for name in admin.partitions() if name.startswith(prefix)])


def test_a_broker_that_does_not_know_a_configuration_is_a_warning_for_each_topic_and_no_error(
    dch, monkeypatch
):
    """Brokers before Kafka 3.6 keep no record from ahead of their clock out."""
    broker = OldBroker()
    monkeypatch.setattr("streams.kafka.Admin", lambda settings: broker)
    for command in ("create", "check"):
        ran = dch("topics", command)
        assert (ran.code, f"{len(EVERY_TOPIC)} topics match their definitions" in ran.out) == (0, True)
        warned = [
            line for line in ran.err.splitlines() if line.startswith("warning: the broker does not know")
        ]
        assert [line.partition("so topic ")[2].split()[0] for line in warned] == ["ratings", "users", "items"]
        assert len(ran.err.splitlines()) == len(warned)


class OldBroker(Broker):
    """A broker that drops what it does not know of the configuration of a topic."""

    def create(self, new):
        for topic in new:
            config = {key: value for key, value in topic.config.items() if key not in OPTIONAL}
            self.topics[topic.name] = replace(topic, config=config)


NO_RATINGS = ("empty.jsonl", "empty.dat", "blank.jsonl", "list.json", "header.csv", "no_rows.parquet")


def write_without_ratings(folder, name):
    """Write a valid file without a rating, and one with some."""
    names = ("user", "item", "rating", "timestamp")
    texts = {"blank.jsonl": "\n\n", "list.json": "[]", "header.csv": ",".join(names)}
    if name.endswith(".parquet"):
        pq.write_table(pa.table({column: pa.array([], pa.int64()) for column in names}), folder / name)
    else:
        (folder / name).write_text(texts.get(name, ""))
    (folder / "good.csv").write_text("user,item,rating,timestamp\n" + "u1,i1,5,1700000000\n")
    return folder / name


@pytest.mark.parametrize("name", NO_RATINGS)
def test_a_file_without_ratings_is_named_by_every_command_before_any_work(dch, tmp_path, name):
    file = write_without_ratings(tmp_path, name)
    good = tmp_path / "good.csv"
    for command in (
        ("train", file, "--out", tmp_path / "model"),
        ("evaluate", file),
        ("evaluate", file, "--protocol", "prequential"),
        ("evaluate", "--train", file, "--test", good),
        ("evaluate", "--train", good, "--test", file),
    ):
        ran = dch(*command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"dch: {file} holds no ratings; give a file with at least one\n"
    demo = dch("demo", "--data", file)
    assert demo.code == 2
    assert f"the demo needs at least 1,000 ratings, {file} has 0" in demo.err


@pytest.mark.broker
def test_a_file_is_published_with_its_metadata(dch, embedded, prefix, tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\nu1,i1,5,1000\nu2,i1,3,2000\n")
    (tmp_path / "items.jsonl").write_text('{"item": "i1", "title": "One"}\n')
    where = ("--bootstrap-servers", embedded, "--prefix", prefix)
    missing = dch("publish", tmp_path / "ratings.csv", *where)
    assert (missing.code, "missing; run: dch topics create" in missing.err) == (2, True)
    assert dch("topics", "create", *where).code == 0
    ran = dch("publish", tmp_path / "ratings.csv", *where)
    assert (ran.code, ran.out) == (0, "published 2 ratings, 0 users and 1 item\n")
    only = dch("publish", tmp_path / "ratings.csv", "--ratings-only", "--rate", 100, *where)
    assert (only.code, only.out) == (0, "published 2 ratings, 0 users and 0 items\n")
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n")
    none = dch("publish", tmp_path / "ratings.csv", *where)
    assert (none.code, none.out) == (0, "published 0 ratings, 0 users and 1 item\n")
    assert "warning: " in none.err
    assert "ratings.csv holds no ratings" in none.err
