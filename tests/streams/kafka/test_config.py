"""Each client gets the settings that it understands, and may wait as long as its patience lasts."""

import ctypes

import pytest
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka import cimpl
from confluent_kafka.admin import AdminClient
from random_models import random_model

from streams.kafka.config import consumer_config, producer_config
from streams.kafka.problems import Problems
from streams.kafka.setting_scopes import CONSUMERS_ONLY, PRODUCERS_ONLY
from streams.settings import KafkaSettings, WorkerSettings
from streams.settings.fixed_values import CONSUMER_FIXED, PRODUCER_FIXED
from tests.streams.brokers import free_ports
from tests.streams.world import SETTINGS, World, worker_process

OF_ALL_CLIENTS = {
    "session.timeout.ms": "20000",
    "heartbeat.interval.ms": "2000",
    "max.poll.interval.ms": "400000",
    "fetch.max.bytes": "20000000",
    "compression.type": "gzip",
    "request.timeout.ms": "20000",
    "socket.timeout.ms": "20000",
}
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1", kafka=OF_ALL_CLIENTS)


@pytest.fixture(scope="module")
def scopes(tmp_path_factory):
    """Return the scopes of each setting as librdkafka itself writes them down: C, P or * for both."""
    page = tmp_path_factory.mktemp("librdkafka") / "settings"
    library, system = ctypes.CDLL(cimpl.__file__), ctypes.CDLL(None)
    system.fopen.restype, system.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p] * 2
    library.rd_kafka_conf_properties_show.argtypes = system.fclose.argtypes = [ctypes.c_void_p]
    file = system.fopen(str(page).encode(), b"w")
    library.rd_kafka_conf_properties_show(file)
    system.fclose(file)
    found = {}
    for line in page.read_text().splitlines():
        name, *rest = (cell.strip() for cell in line.split("|"))
        if rest and rest[0] in {"C", "P", "*"} and not name.endswith(("_cb", "_cmp")):  # of callbacks
            found.setdefault(name, set()).add(rest[0])
    return found


@pytest.mark.parametrize(("scope", "names"), [("C", CONSUMERS_ONLY), ("P", PRODUCERS_ONLY)])
def test_the_settings_of_one_kind_of_client_are_those_that_librdkafka_names(scopes, scope, names):
    assert len(scopes) > 150
    assert sorted(names) == sorted(name for name, found in scopes.items() if found == {scope})


class Lines(list):
    """A logger of a client that keeps the lines about its settings."""

    def log(self, level, text, *details):
        if details[0] == "CONFWARN":
            self.append(text % details)


def warnings(factory, config):
    """Return what a client says about its settings: the first poll hands it on."""
    lines = Lines()
    client = factory({**config, "logger": lines})
    client.poll(0.1)
    return lines


@pytest.mark.parametrize(
    ("factory", "config_of", "fixed"),
    [
        (ConfluentConsumer, consumer_config, {**CONSUMER_FIXED, "group.id": "g"}),
        (ConfluentProducer, producer_config, PRODUCER_FIXED),
        (AdminClient, producer_config, {}),
    ],
)
def test_no_client_warns_of_settings_that_are_for_others(factory, config_of, fixed):
    config = config_of(NOWHERE, Problems(NOWHERE), {}, fixed)
    assert warnings(factory, config) == []
    assert config["socket.timeout.ms"] == "20000"
    assert warnings(factory, {**config, **OF_ALL_CLIENTS}), "it warns of each setting that it does not use"


@pytest.mark.broker
@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_no_client_of_a_worker_warns_of_settings_that_are_for_others(settings, tmp_path):
    own = settings.as_role(
        WorkerSettings,
        artifacts=str(tmp_path / "store"),
        metrics_port=free_ports(2),
        kafka=OF_ALL_CLIENTS,
        **SETTINGS,
    )
    world = World(own, tmp_path)
    try:
        world.publish(random_model(bits=64, hidden=64))
        with worker_process(own, tmp_path / "log") as worker:
            world.ask("u1")
            assert worker.terminate() == 0
            assert "caught up" in worker.log.read_text()
            assert "CONFWARN" not in worker.log.read_text()
    finally:
        world.close()


@pytest.mark.parametrize(
    ("patience_s", "interval_ms"), [(1, 300_000), (300, 360_000), (3600, 3_660_000), (86_400, 86_400_000)]
)
def test_a_member_that_waits_for_a_broker_keeps_its_partitions_while_its_patience_lasts(
    patience_s, interval_ms
):
    settings = KafkaSettings(broker_patience_s=patience_s)
    config = consumer_config(settings, Problems(settings), {}, {})
    assert config["max.poll.interval.ms"] == interval_ms
    ConfluentConsumer({**config, "group.id": "g"}).close()  # librdkafka takes the value


def test_the_time_between_polls_can_be_set():
    assert consumer_config(NOWHERE, Problems(NOWHERE), {}, {})["max.poll.interval.ms"] == "400000"
