"""Prometheus beside the demo scrapes its roles with the rules of this repository, or it is said why not."""

import json
import urllib.request

import pytest

from streams.demo import watch
from streams.health import Health
from tests.deploy.prometheus_tools import tool
from tests.streams.brokers import eventually


def test_a_missing_prometheus_is_said(monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(watch.shutil, "which", lambda name: None)
    with watch.watched(tmp_path, {}, "", said.append) as address:
        assert address is None
    assert said == [watch.NO_PROMETHEUS]


def test_missing_rules_are_said(monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(watch.shutil, "which", lambda name: "/usr/bin/prometheus")
    monkeypatch.setattr(watch, "RULES", tmp_path / "nowhere")
    with watch.watched(tmp_path, {}, "", said.append) as address:
        assert address is None
    assert "run it from a checkout" in watch.NO_RULES
    assert said == [watch.NO_RULES]


@pytest.mark.parametrize("prefix", ["", "shop-"])
def test_every_role_is_scraped_under_its_name_and_prefix(prefix):
    found = watch.configuration({"worker": "http://127.0.0.1:1234", "trainer": "http://127.0.0.1:5"}, prefix)
    jobs = {job["job_name"]: job["static_configs"][0] for job in found["scrape_configs"]}
    assert jobs["worker"] == {"targets": ["127.0.0.1:1234"], "labels": {"prefix": prefix} if prefix else {}}
    assert jobs.keys() == {"worker", "trainer"}


def test_prometheus_reads_the_metrics_of_a_role(monkeypatch, tmp_path):
    binary = tool("prometheus")
    monkeypatch.setattr(watch.shutil, "which", lambda name: binary)

    def scraped():
        try:
            with urllib.request.urlopen(f"{address}/api/v1/query?query=dch_build_info", timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    with (
        Health("127.0.0.1", 0, {}) as health,
        watch.watched(tmp_path, {"worker": f"http://127.0.0.1:{health.port}"}, "shop-", print) as address,
    ):
        (found,) = eventually(scraped, 60, 0.2)
    assert found["metric"]["job"] == "worker"
    assert found["metric"]["prefix"] == "shop-"
