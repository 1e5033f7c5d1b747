"""The health server over HTTP."""

import http.client
import urllib.error
import urllib.request

import pytest

from streams import metrics
from streams.errors import SettingsError
from streams.health import Health


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_readiness_names_the_checks_that_fail():
    state = {"model loaded": False, "store caught up": True}
    with Health("127.0.0.1", 0, {name: lambda name=name: state[name] for name in state}) as health:
        assert get(health.port, "/readyz") == (503, "not ready; not fulfilled: model loaded\n")
        state["model loaded"] = True
        assert get(health.port, "/readyz") == (200, "ready\n")


def test_a_process_is_alive_even_when_it_is_not_ready():
    with Health("127.0.0.1", 0, {"model loaded": lambda: False}) as health:
        assert get(health.port, "/livez") == (200, "alive\n")
        assert get(health.port, "/")[0] == 404


def test_metrics_are_served_in_the_format_of_prometheus():
    metrics.DEAD_LETTERS.labels("ratings", "field").inc()
    with Health("127.0.0.1", 0, {}) as health:
        status, text = get(health.port, "/metrics")
    assert status == 200
    assert 'dch_dead_letters_total{reason="field",topic="ratings"}' in text


def test_readiness_is_a_metric_that_follows_the_checks():
    state = {"caught up": False}
    with Health("127.0.0.1", 0, {"caught up": lambda: state["caught up"]}) as health:
        assert 'dch_ready{check="caught up"} 0.0' in get(health.port, "/metrics")[1]
        state["caught up"] = True
        assert 'dch_ready{check="caught up"} 1.0' in get(health.port, "/metrics")[1]


def test_prometheus_gets_exemplars_when_it_asks_for_openmetrics():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metrics.REQUEST_DURATION_SECONDS.labels("codes", "ok").observe(0.2, exemplar={"trace_id": trace})
    with Health("127.0.0.1", 0, {}) as health:
        url = f"http://127.0.0.1:{health.port}/metrics"
        ask = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urllib.request.urlopen(ask, timeout=5) as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
    assert kind.startswith("application/openmetrics-text")
    assert f'# {{trace_id="{trace}"}} 0.2' in text


def test_a_client_that_hangs_up_leaves_no_traceback(capfd, monkeypatch):
    def hang_up(*args):
        raise BrokenPipeError

    with Health("127.0.0.1", 0, {}) as health:
        monkeypatch.setattr("streams.health._Handler._answer", hang_up)
        with pytest.raises(http.client.RemoteDisconnected):
            get(health.port, "/livez")
    assert capfd.readouterr().err == ""


def test_a_fault_of_ours_leaves_a_traceback(capfd):
    odd = {"odd": lambda: 1 / 0}
    with Health("127.0.0.1", 0, odd) as health, pytest.raises(http.client.RemoteDisconnected):
        get(health.port, "/readyz")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_port_in_use_is_reported_with_a_remedy():
    with (
        Health("127.0.0.1", 0, {}) as health,
        pytest.raises(SettingsError, match="choose another --metrics-port"),
    ):
        Health("127.0.0.1", health.port, {})
