"""Set up the Kafka benchmarks: data, a model of matching size, topics, and a worker process."""

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from random_models import KNOTS, random_tower

from dch import Ratings
from dch.models.model import Model
from streams.settings import WorkerSettings
from tests.streams.brokers import ROOT, free_ports
from tests.streams.world import World, environ

DATA = Path(os.environ.get("DCH_TEST_DATA", ROOT / ".." / "shared" / "data"))


def data(name):
    """Return the ratings of a data set, oldest first."""
    return Ratings.read(DATA / name / "ratings.csv.gz")


def model_for(ratings, *, generation=1, bits=64, hidden=256):
    """Return a model of the size of a fit to these ratings; random weights cost as much as fitted ones."""
    rng = np.random.default_rng(0)
    return Model(
        generation=generation,
        user_tower=random_tower(rng, ratings.n_items, hidden, bits),
        item_tower=random_tower(rng, ratings.n_users, hidden, bits),
        user_ids=ratings.user_ids,
        item_ids=ratings.item_ids,
        rating_knots=KNOTS,
    )


def world_on(address, folder):
    """Create topics with a prefix and an artifact store for this run; other settings are the defaults."""
    settings = WorkerSettings(
        bootstrap_servers=address,
        prefix=f"bench-{uuid.uuid4().hex[:8]}-",
        artifacts=str(folder / "store"),
        metrics_port=free_ports(2),
    )
    return World(settings, folder)


@contextmanager
def start_worker(settings, *wrapper):
    """Run ``dch worker`` as a process with its log in ``stderr``, and stop it at the end."""
    command = [*wrapper, sys.executable, "-m", "streams", "worker"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ(settings), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
        if process.returncode:
            sys.stderr.write(log)
