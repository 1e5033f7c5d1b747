"""The image and the compose file on a Docker engine: run by make test-docker."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.deploy.expressions import DASHBOARDS, panels, plain
from tests.deploy.prometheus_tools import ROOT
from tests.streams.brokers import eventually

COMPOSE_FILE = ROOT / "deploy" / "compose.yaml"
START_S = 900
PROMETHEUS, GRAFANA = "http://localhost:9090", "http://localhost:3000"


@pytest.fixture(scope="module")
def service():
    """The service of deploy/compose.yaml, stopped and removed at the end."""
    if not os.environ.get("TEST_DOCKER"):
        pytest.skip("needs a Docker engine and minutes; run it by: make test-docker")
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip(f"no Docker engine answers: {answer.stderr.strip()}")
    from testcontainers.compose import DockerCompose

    with DockerCompose(str(COMPOSE_FILE.parent), COMPOSE_FILE.name, build=True) as found:
        yield found


def get(url):
    """Return the JSON at an address; None while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, json.JSONDecodeError):
        return None


def up():
    found = get(f"{PROMETHEUS}/api/v1/query?query=up") or {"data": {"result": []}}
    return sorted(one["metric"]["job"] for one in found["data"]["result"] if one["value"][1] == "1")


def test_prometheus_scrapes_every_role(service):
    eventually(lambda: up() == ["observer", "trainer", "worker", "worker"], START_S, 2)


def test_a_model_comes_into_service(service):
    query = f"{PROMETHEUS}/api/v1/query?query=count(dch_model_info)"
    eventually(lambda: (get(query) or {}).get("data", {}).get("result"), START_S, 2)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_grafana_has_loaded_a_dashboard(service, file):
    eventually(lambda: get(f"{GRAFANA}/api/dashboards/uid/{file.stem}"), START_S, 2)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_prometheus_answers_every_query_that_grafana_sends_it(service, file):
    proxy = f"{GRAFANA}/api/datasources/proxy/uid/dch-prometheus/api/v1/query?query="
    eventually(lambda: get(proxy + "up"), START_S, 2)
    for panel in panels(file):
        for target in panel["targets"]:
            found = get(proxy + urllib.parse.quote(plain(target["expr"])))
            assert found is not None, panel["title"]
            assert found["status"] == "success", panel["title"]


def test_images_run_without_root(service):
    for name in ("worker", "observer", "trainer"):
        out, _, code = service.exec_in_container(["id", "-u"], name)
        assert (out.strip(), code) == ("10001", 0)
