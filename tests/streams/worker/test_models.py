"""Models: a worker waits for the first, swaps in later ones, and refuses invalid and older ones."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from random_models import random_model

from streams.client import RecommendClient
from streams.messages import RecommendRequest
from streams.metrics import MODELS_REFUSED
from streams.settings import ClientSettings
from tests.streams.brokers import ROOT, eventually
from tests.streams.world import worker

MODELS = {number: random_model(bits=64, hidden=64, generation=number, seed=number) for number in range(1, 5)}


@pytest.fixture
def world(world):
    world.rate(*((f"u{u}", f"i{i}", 1 + (u + i) % 5) for u in range(6) for i in range(8) if i != u))
    return world


def test_a_worker_that_has_warmed_up_compiles_nothing_more(kernels):
    """The first request of a ready worker waited ten seconds for the compiler, as long as a client does."""
    command = [sys.executable, "-m", "tests.streams.worker.kernels_after_warm_up"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def refused(reason):
    return MODELS_REFUSED.labels(reason)._value.get()


def test_a_worker_without_a_model_is_not_ready_and_serves_the_first_one_published(world):
    with worker(world.settings, ready=False) as running:
        eventually(lambda: "model loaded" in running.not_ready())
        world.publish(MODELS[1])
        eventually(running.is_ready, 60)
        assert world.ask("u1").generation == 1


def test_the_set_share_of_each_list_goes_to_new_items(world):
    world.publish(MODELS[1])
    new = {f"new{at}" for at in range(3)}
    world.rate(*(("u1", item, 5) for item in sorted(new)))
    with worker(world.settings.replace(new_item_share=0.5)):
        eventually(lambda: new <= set(world.items_for("u2", k=20)))
        assert len(new & set(world.items_for("u2", k=4, include_rated=True))) >= 2
        assert len(new & set(world.items_for("a new user", k=4))) == 2  # popular items come first otherwise
        assert world.items_for(similar_to="i1", k=2) == [
            hit.item for hit in world.expected(MODELS[1]).similar_items("i1", 2)
        ]


def test_every_reply_during_a_swap_is_of_one_generation(world):
    world.publish(MODELS[1])
    stop, replies = threading.Event(), []

    def keep_asking():
        with RecommendClient(world.settings.as_role(ClientSettings)) as client:
            while not stop.is_set():
                replies.append(client.ask(RecommendRequest(user="u1", k=3)))

    def has_reply_of(generation):
        return asking.done() or (replies and replies[-1].generation == generation)

    with worker(world.settings), ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking)
        try:
            eventually(lambda: has_reply_of(1))  # before the swap: the client may be slow to start
            world.publish(MODELS[2])
            eventually(lambda: has_reply_of(2))
        finally:
            stop.set()
        asking.result(30)
        codes = {number: world.expected(MODELS[number]).user_code("u1").hex() for number in (1, 2)}
        assert {(reply.generation, reply.code) for reply in replies} == set(codes.items())
        order = [reply.generation for reply in replies]
        assert order == sorted(order)
        eventually(lambda: world.item_codes() == world.expected(MODELS[2]).item_codes())


def test_corrupt_missing_and_older_models_are_refused_and_the_worker_keeps_serving(world):
    world.publish(MODELS[2])
    with worker(world.settings):
        artifact, older = refused("artifact"), refused("older")
        outside, malformed = refused("outside"), refused("malformed")
        world.publish(MODELS[3], location="ftp://127.0.0.1:1/gen-3")
        eventually(lambda: refused("outside") == outside + 1)
        world.publish(MODELS[3], location="s3:")
        world.publish(MODELS[3], generation=2**63 - 1)
        eventually(lambda: refused("malformed") == malformed + 2)
        eventually(lambda: len(world.read_all("models-dlt")) == 2)
        world.publish(MODELS[3], sha256="00" * 32)
        eventually(lambda: refused("artifact") == artifact + 1)
        world.publish(MODELS[4], generation=5)
        eventually(lambda: refused("artifact") == artifact + 2)
        world.publish(MODELS[1])
        eventually(lambda: refused("older") == older + 1)
        assert world.ask("u1").generation == 2
        world.publish(MODELS[3])
        eventually(lambda: world.ask("u1").generation == 3)
