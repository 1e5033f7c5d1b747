"""Fixtures of the worker's tests."""

import pytest

from streams.settings import WorkerSettings
from tests.streams.brokers import free_ports
from tests.streams.world import SETTINGS, World


@pytest.fixture
def world(settings, tmp_path):
    """A world of its own: topics by a prefix, a store in a folder, a port for metrics."""
    quick = settings.as_role(
        WorkerSettings, artifacts=str(tmp_path / "store"), metrics_port=free_ports(2), **SETTINGS
    )
    found = World(quick, tmp_path)
    yield found
    found.close()
