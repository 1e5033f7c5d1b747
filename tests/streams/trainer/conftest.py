"""Fixtures of the trainer's tests: the embedded broker suffices, as the trainer uses nothing that differs."""

import pytest

from tests.streams.worker.conftest import world

__all__ = ["broker", "world"]


@pytest.fixture(scope="session")
def broker(embedded):
    return embedded
