"""Fixtures of the trainer's tests. It does nothing that brokers differ in, so one is enough."""

import pytest

from tests.streams.worker.conftest import world

__all__ = ["broker", "world"]


@pytest.fixture(scope="session")
def broker(embedded):
    return embedded
