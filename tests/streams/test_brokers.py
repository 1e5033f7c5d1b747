"""The helpers that start brokers for tests: ports, and starts that fail."""

import socket
from pathlib import Path

import pytest

from tests.streams import brokers
from tests.streams.brokers import free_ports

FAILING = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = stop ] && exit 0
[ "$(grep -c start {log})" -gt {failures} ] && echo '{{"bootstrap.servers": "localhost:1"}}' && exit 0
echo 'Address already in use' >&2
exit 1
"""


def _script(folder: Path, failures: int) -> Path:
    script = folder / "cluster"
    script.write_text(FAILING.format(log=folder / "log", failures=failures))
    script.chmod(0o755)
    return script


def test_a_start_that_fails_is_tried_again_on_another_port(tmp_path: Path) -> None:
    script = _script(tmp_path, failures=1)

    with brokers._distribution(script, tmp_path / "data") as cluster:
        assert cluster.address == "localhost:1"

    first, stopped, second, last = (tmp_path / "log").read_text().splitlines()
    assert (stopped, last) == (f"stop {tmp_path / 'data'}",) * 2
    assert first.split()[:2] == second.split()[:2] == ["start", str(tmp_path / "data")]
    assert first.split()[3] != second.split()[3]


def test_a_broker_that_never_starts_fails_the_test_with_what_it_said(tmp_path: Path) -> None:
    script = _script(tmp_path, failures=99)

    with pytest.raises(pytest.fail.Exception, match="Address already in use"):
        brokers._started(script, tmp_path / "data", ())


def test_workers_of_pytest_share_no_port_and_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    ranges = []
    for worker in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
        ranges.append(brokers._own_ports())
        given = [free_ports(200) for _ in range(200)]
        assert len(set(given)) == 200
        assert all(ranges[worker][0] <= port and port + 200 < ranges[worker][1] for port in given)
    assert [last for _, last in ranges[:-1]] == [first for first, _ in ranges[1:]]


def test_a_taken_port_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        assert not brokers._is_free(server.getsockname()[1])
