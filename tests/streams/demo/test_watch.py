"""Prometheus beside the demo scrapes its roles with the rules of this repository, or it is said why not."""

import json
import urllib.request
from pathlib import Path

import pytest
import yaml

from streams.demo import grafana, watch
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


def test_a_missing_faust_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(watch, "find_spec", lambda name: None)
    assert watch.start_observer(None, said.append) == {}
    assert said == [watch.NO_OBSERVER]


@pytest.mark.parametrize("prefix", ["", "shop-"])
def test_every_role_is_scraped_under_its_name_and_prefix(prefix):
    found = watch.configuration({"worker": "http://127.0.0.1:1234", "trainer": "http://127.0.0.1:5"}, prefix)
    jobs = {job["job_name"]: job["static_configs"][0] for job in found["scrape_configs"]}
    assert jobs["worker"] == {"targets": ["127.0.0.1:1234"], "labels": {"prefix": prefix} if prefix else {}}
    assert jobs.keys() == {"worker", "trainer"}


def test_prometheus_reads_the_metrics_of_a_role(monkeypatch, tmp_path):
    binary = tool("prometheus")
    monkeypatch.setattr(watch.shutil, "which", {"prometheus": binary}.get)

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


FAKE_GRAFANA = """#!/bin/sh
env | grep ^GF_ > "$GF_PATHS_DATA.env"; echo "$@" > "$GF_PATHS_DATA.args"
exec sleep 600
"""


def read(file):
    return file.exists() and file.read_text()


def test_grafana_is_started_with_the_dashboards_and_this_prometheus(monkeypatch, tmp_path):
    """A script stands for Grafana; tests/deploy/test_docker.py runs the real one, with the same files."""
    (binary := tmp_path / "grafana.sh").write_text(FAKE_GRAFANA)
    binary.chmod(0o755)
    monkeypatch.setattr(grafana.shutil, "which", lambda name: str(binary))
    (folder := tmp_path / "demo").mkdir()
    with grafana.dashboards(folder, "http://127.0.0.1:1234") as address:
        words = eventually(lambda: read(folder / "grafana.args"))
    assert words.split() == ["server", "--homepath", str(grafana.PACKAGED)]
    given = dict(line.split("=", 1) for line in (folder / "grafana.env").read_text().splitlines())
    assert address == f"http://127.0.0.1:{given['GF_SERVER_HTTP_PORT']}"
    assert Path(given["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).exists()
    source, provider = (
        yaml.safe_load((Path(given["GF_PATHS_PROVISIONING"]) / one / name).read_text())
        for one, name in (("datasources", "prometheus.yml"), ("dashboards", "dch.yml"))
    )
    assert source["datasources"][0]["url"] == "http://127.0.0.1:1234"
    assert list(Path(provider["providers"][0]["options"]["path"]).glob("*.json"))


def test_without_grafana_nothing_is_started(monkeypatch, tmp_path):
    monkeypatch.setattr(grafana.shutil, "which", lambda name: None)
    with grafana.dashboards(tmp_path, "http://127.0.0.1:1234") as address:
        assert address is None
    assert list(tmp_path.iterdir()) == []
