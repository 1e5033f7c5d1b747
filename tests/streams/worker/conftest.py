"""Fixtures of the worker tests."""

import pytest

from streams.settings import WorkerSettings
from tests.streams.brokers import free_ports
from tests.streams.world import SETTINGS, World


@pytest.fixture
def world(settings, tmp_path):
    """A separate world for each test: topics with a prefix, a store in a folder, a metrics port."""
    quick = settings.as_role(
        WorkerSettings, artifacts=str(tmp_path / "store"), metrics_port=free_ports(2), **SETTINGS
    )
    found = World(quick, tmp_path)
    yield found
    found.close()
