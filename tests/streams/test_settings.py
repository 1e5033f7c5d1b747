"""Settings come from flags, then variables, then a file, then defaults; a wrong one is one sentence."""

import ast
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import SettingsError
from streams.settings import ClientSettings, KafkaSettings, TrainerSettings, WorkerSettings
from streams.settings.kafka_settings import flag_name
from streams.settings.sources import ROLES, load, outer_environ

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def clean_environment():
    """Remove the developer's own DCH_ variables."""
    with pytest.MonkeyPatch.context() as patch:
        plain = outer_environ()
        for name in set(os.environ) - set(plain):
            patch.delenv(name)
        yield


@pytest.fixture
def config(tmp_path):
    """Write a configuration file and return its path."""

    def write(text):
        path = tmp_path / "dch.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_are_valid_and_need_no_environment(role):
    assert load(role) == role()


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(config, monkeypatch):
    path = config("partitions = 2\nbatch_records = 2\nlinger_ms = 2")
    monkeypatch.setenv("DCH_PARTITIONS", "3")
    monkeypatch.setenv("DCH_BATCH_RECORDS", "3")
    settings = load(WorkerSettings, {"partitions": "4", "prefix": None}, config=path)
    found = settings.partitions, settings.batch_records, settings.linger_ms, settings.batch_wait_s
    assert found == (4, 3, 2.0, 0.02)


def test_librdkafka_settings_of_all_sources_are_merged_in_the_same_order(config, monkeypatch):
    path = config(
        '[kafka]\nsecurity.protocol = "a"\n"ssl.ca.location" = "a"\n"log.queue" = true\nretries = 3'
    )
    monkeypatch.setenv("DCH_KAFKA_SECURITY_PROTOCOL", "b")
    monkeypatch.setenv("DCH_KAFKA_SASL_USERNAME", "b")
    settings = load(KafkaSettings, {"kafka": ["sasl.username=c", "a.b=c=d"]}, config=path)
    assert settings.kafka == {
        "security.protocol": "b",
        "ssl.ca.location": "a",
        "log.queue": "true",
        "retries": "3",
        "sasl.username": "c",
        "a.b": "c=d",
    }


def test_the_table_of_a_role_holds_for_that_role_only(config, monkeypatch):
    monkeypatch.setenv(
        "DCH_CONFIG",
        str(
            config(
                'prefix = "shop-"\nnew_item_share = 0.1\nrefit_ratings = 9\n[worker]\nprefix = "w-"\n'
                '[worker.kafka]\n"client.id" = "w"\n[trainer]\nbits = 128\n[recommend]\nrequest_timeout_s = 1'
            )
        ),
    )
    worker, trainer, client, _ = (load(role) for role in ROLES)
    assert (worker.prefix, worker.new_item_share, worker.kafka) == ("w-", 0.1, {"client.id": "w"})
    assert (trainer.prefix, trainer.bits, trainer.refit_ratings, trainer.kafka) == ("shop-", 128, 9, {})
    assert (client.prefix, client.request_timeout_s) == ("shop-", 1.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("partitons = 3", "there is no setting 'partitons'; did you mean partitions?"),
        ("[worker]\nrefit_rating = 3", "[worker]: there is no setting 'refit_rating'"),
        ("[trainer]\nnew_item_share = 0.1", "[trainer]: there is no setting 'new_item_share'"),
        ("[worker", "cannot read configuration file "),
        ("worker = 3", "worker must be a table; write [worker]"),
        ("kafka = 3", "kafka must be a table; write [kafka]"),
        ("partitions = 0", "partitions must be 1 to 10000, got 0"),
        ("partitions = true", "partitions must be a whole number, got True"),
        ("prefix = 3", "prefix must be a string, got 3"),
        ("max_k = 1001", "max_k must be 1 to 1000, got 1001"),
        ("max_request_ids = 0", "max_request_ids must be 1 to 30000, got 0"),
        ("max_request_bytes = 9", "max_request_bytes must be 1024 to 1000000000, got 9"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(config, text, sentence):
    with pytest.raises(SettingsError) as raised:
        load(WorkerSettings, config=config(text))
    assert sentence in str(raised.value)


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(
        SettingsError, match=r"cannot read configuration file .*dch\.toml: No such file or directory"
    ):
        load(WorkerSettings, config=tmp_path / "dch.toml")


@pytest.mark.parametrize("role", ROLES)
def test_every_setting_has_a_description(role):
    for name, field in role.model_fields.items():
        assert len(field.description) > 10, name
        assert field.description[0].isupper(), name


@pytest.mark.parametrize(
    ("role", "variables", "sentence"),
    [
        (
            KafkaSettings,
            {"DCH_PARTITIONS": "0"},
            "partitions must be 1 to 10000, got '0'; set it by --partitions or DCH_PARTITIONS",
        ),
        (KafkaSettings, {"DCH_PARTITIONS": "four"}, "partitions must be a whole number, got 'four'"),
        (KafkaSettings, {"DCH_LINGER_MS": "x"}, "linger_ms must be a number, got 'x'"),
        (KafkaSettings, {"DCH_LINGER_MS": "nan"}, "linger_ms must be 0 to 10000, got 'nan'"),
        (KafkaSettings, {"DCH_BOOTSTRAP_SERVERS": " "}, "bootstrap_servers must be host:port, got ' '"),
        (
            WorkerSettings,
            {"DCH_NEW_ITEM_SHARE": "20"},
            "new_item_share must be 0 to 1, got '20'; set it by --new-item-share",
        ),
        (TrainerSettings, {"DCH_BITS": "60"}, "bits must be a multiple of 8, got '60'"),
        (TrainerSettings, {"DCH_BITS": "0"}, "bits must be 8 to 256, got '0'"),
        (TrainerSettings, {"DCH_OBJECTIVE": "both"}, "objective must be one of ranking, rating, got 'both'"),
        (TrainerSettings, {"DCH_SEED": "1.5"}, "seed must be a whole number, got '1.5'"),
    ],
)
def test_a_wrong_variable_is_refused_in_one_sentence(role, variables, sentence, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load(role)
    assert str(raised.value).startswith(sentence)


NUMBERS = [
    (role, name)
    for role in ROLES
    for name, field in role.model_fields.items()
    if field.annotation in (int, float)
]


@given(st.sampled_from(NUMBERS), st.one_of(st.integers(), st.floats()))
def test_a_number_is_either_kept_or_refused_with_its_flag(setting, value):
    role, name = setting
    refusal = ""
    try:
        found = getattr(role(**{name: value}), name)
    except SettingsError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith(f"{name} must be")
        assert flag_name(name) in refusal
    else:
        assert found == value
        assert math.isfinite(found)


def test_a_setting_of_another_role_is_unknown_to_a_class():
    with pytest.raises(SettingsError, match="there is no setting --bits; see --help"):
        WorkerSettings(bits=64)
    shared = set(KafkaSettings.model_fields) | {"group", "artifacts", "metrics_host", "metrics_port"}
    assert set(WorkerSettings.model_fields) & set(TrainerSettings.model_fields) == shared


def test_settings_cannot_be_changed_after_construction():
    settings = KafkaSettings()
    with pytest.raises(ValueError, match="frozen"):
        settings.partitions = 3
    assert settings.replace(partitions=3).partitions == 3
    with pytest.raises(SettingsError, match="partitions must be 1 to 10000, got 0"):
        settings.replace(partitions=0)


def test_an_object_made_by_code_ignores_the_environment(monkeypatch):
    monkeypatch.setenv("DCH_PARTITIONS", "7")
    assert KafkaSettings().partitions == 4
    assert load(KafkaSettings).partitions == 7


def test_settings_of_another_role_keep_what_both_roles_have():
    worker = WorkerSettings(prefix="t1-", group="g", kafka={"a": "b"}, new_item_share=0.5)
    trainer = worker.as_role(TrainerSettings, bits=128)
    assert trainer == TrainerSettings(prefix="t1-", group="g", kafka={"a": "b"}, bits=128)


@pytest.mark.parametrize(
    "settings",
    [
        WorkerSettings(prefix="t-", reply_prefixes=("a", "b"), kafka={"sasl.password": "x"}, linger_ms=0.1),
        TrainerSettings(objective="rating", refit_margin=0.5),
        ClientSettings(request_timeout_s=0.3),
    ],
)
def test_a_child_process_gets_the_same_settings_by_variables(settings, monkeypatch):
    for name, value in settings.variables().items():
        monkeypatch.setenv(name, value)
    assert load(type(settings)) == settings


def test_an_unknown_variable_is_one_warning_with_the_nearest_name(monkeypatch, caplog):
    for name in ("DCH_PARTITION", "DCH_REFIT_RATINGS", "DCH_REQUEST_TIMEOUT_S", "DCH_DATA", "DCH_TEST_DATA"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("DCH_KAFKA_CLIENT_ID", "x")
    load(WorkerSettings)
    assert [record.getMessage() for record in caplog.records] == [
        "DCH_PARTITION is not a variable of dch and is ignored; did you mean DCH_PARTITIONS?"
    ]


SECRET = "hunter2-hunter2"


def test_secrets_are_not_printed(monkeypatch):
    monkeypatch.setenv("DCH_KAFKA_SASL_PASSWORD", SECRET)
    settings = load(WorkerSettings, {"kafka": [f"ssl.key.password={SECRET}"]})
    assert settings.kafka == {"sasl.password": SECRET, "ssl.key.password": SECRET}
    for text in (repr(settings), str(settings), f"{settings!r:s}"):
        assert SECRET not in text
        assert "'sasl.password': '***'" in text


@pytest.mark.parametrize("pair", [SECRET, f"={SECRET}", f" = {SECRET}"])
def test_an_error_about_a_librdkafka_setting_does_not_print_it(pair):
    with pytest.raises(SettingsError, match="kafka must be key=value") as raised:
        load(KafkaSettings, {"kafka": [pair]})
    assert SECRET not in str(raised.value)
    with pytest.raises(SettingsError, match="kafka must be key=value") as raised:
        KafkaSettings(kafka={"sasl.password": SECRET.encode() + b"\xff"})
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_topics_groups_and_reply_topics_carry_the_prefix():
    settings = load(WorkerSettings, {"prefix": "t1-", "reply_prefixes": "recommendations, answers."})
    assert settings.topic("ratings") == "t1-ratings"
    assert settings.group_of("worker") == "t1-worker"
    assert settings.may_reply_to("t1-recommendations")
    assert settings.may_reply_to("t1-answers.shop")
    assert not settings.may_reply_to("recommendations")
    assert not settings.may_reply_to("t1-ratings")


def test_no_other_module_reads_the_environment():
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in ("dch", "streams")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == {"streams/settings/sources.py"}


def test_a_variable_in_lower_case_is_not_a_setting(monkeypatch):
    monkeypatch.setenv("dch_prefix", "other-")
    monkeypatch.setenv("dch_kafka_sasl_password", "secret")
    settings = load(WorkerSettings)
    assert (settings.prefix, settings.kafka) == ("", {})


def test_a_configuration_file_that_is_a_folder_or_empty_is_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path in (Path(), Path()):
        with pytest.raises(SettingsError, match="cannot read configuration file"):
            load(WorkerSettings, config=path)
    monkeypatch.setenv("DCH_CONFIG", ".")
    with pytest.raises(SettingsError, match="cannot read configuration file"):
        load(WorkerSettings)


def test_an_empty_reply_prefix_never_allows_every_topic(tmp_path):
    file = tmp_path / "dch.toml"
    file.write_text('reply_prefixes = ["", " replies "]')
    settings = load(WorkerSettings, config=file)
    assert settings.reply_prefixes == ("replies",)
    assert not settings.may_reply_to("models")


def test_a_wrong_value_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "dch.toml"
    file.write_text("[worker]\npartitions = 4.5")
    with pytest.raises(SettingsError, match=r"dch.toml: partitions must be a whole number, got 4.5"):
        load(WorkerSettings, config=file)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[workers]\nbits = 8", "did you mean worker?"),
        ("PARTITIONS = 4", "did you mean partitions?"),
        ("DCH_PARTITIONS = 4", "did you mean partitions?"),
    ],
)
def test_an_unknown_name_gets_a_hint_at_a_similar_one(tmp_path, text, hint):
    file = tmp_path / "dch.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(hint)):
        load(WorkerSettings, config=file)


def test_a_name_that_resembles_nothing_gets_no_hint(tmp_path):
    file = tmp_path / "dch.toml"
    file.write_text("xyzzy = 4")
    with pytest.raises(SettingsError) as found:
        load(WorkerSettings, config=file)
    assert "did you mean" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.idempotence", "false"),
        ("acks", "1"),
        ("request.required.acks", "0"),
        ("partitioner", "consistent_random"),
        ("enable.auto.commit", "true"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("enable.auto.offset.store", "1"),
        ("enable.partition.eof", "false"),
    ],
)
def test_a_librdkafka_setting_that_the_guarantees_depend_on_is_refused(name, value):
    sentence = f"kafka must not set {name}={value}: the service works only with"
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        KafkaSettings(kafka={name: value})


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("bootstrap.servers", "--bootstrap-servers or DCH_BOOTSTRAP_SERVERS"),
        ("group.id", "--group or DCH_GROUP"),
        ("message.timeout.ms", "--broker-patience-s or DCH_BROKER_PATIENCE_S"),
    ],
)
def test_a_librdkafka_setting_with_a_flag_of_its_own_is_refused(name, flag):
    with pytest.raises(SettingsError, match=re.escape(f"kafka must not hold {name}; set it by {flag}")):
        KafkaSettings(kafka={name: "1"})


def test_librdkafka_settings_that_say_what_holds_anyway_are_accepted():
    same = {"acks": "-1", "request.required.acks": "all", "partitioner": "murmur2_random"}
    same |= {"enable.idempotence": "True", "enable.auto.commit": "0", "enable.partition.eof": "1"}
    assert KafkaSettings(kafka=same).kafka == same
