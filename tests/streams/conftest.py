"""Fixtures of ``streams``: one broker of each kind for the whole run, separate topics for each test."""

import os
import uuid

import pytest
from filelock import FileLock
from random_models import random_model

from streams.settings import KafkaSettings
from streams.worker.models import warm_up
from tests.streams.brokers import embedded_broker, real_broker

BROKERS = (
    pytest.param("embedded", marks=pytest.mark.broker),
    pytest.param("kafka", marks=(pytest.mark.broker, pytest.mark.real_broker)),
)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """Compile the kernels before any deadline of a test begins; of several test processes, one compiles."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # the folder of this run alone
    with FileLock(shared / "kernels.lock"):
        warm_up(random_model())


@pytest.fixture(scope="session")
def embedded(tmp_path_factory, kernels):
    """Address of the embedded broker."""
    with embedded_broker(tmp_path_factory.mktemp("embedded") / "data") as process:
        yield process.address


@pytest.fixture(scope="session")
def kafka(tmp_path_factory, kernels):
    """Address of a real Apache Kafka."""
    with real_broker(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture(scope="session", params=BROKERS)
def broker(request):
    """Address of a broker; the test runs once on each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def prefix():
    """A prefix for the topics and groups of one test."""
    return f"t{uuid.uuid4().hex[:10]}-"


@pytest.fixture
def settings(broker, prefix):
    """Settings of a client of the broker, with the prefix of the test."""
    return KafkaSettings(bootstrap_servers=broker, prefix=prefix, batch_wait_s=0.01)
