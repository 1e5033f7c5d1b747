"""The health server over HTTP."""

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
        assert get(health.port, "/readyz") == (503, "not ready: model loaded\n")
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


def test_a_port_in_use_is_reported_with_a_remedy():
    with (
        Health("127.0.0.1", 0, {}) as health,
        pytest.raises(SettingsError, match="choose another --metrics-port"),
    ):
        Health("127.0.0.1", health.port, {})
