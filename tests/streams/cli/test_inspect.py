"""``dch inspect`` beside a running worker: what the topics hold, and what the worker answers."""

import json

import pytest

from tests.streams.cli.running import dch
from tests.streams.worker.conftest import world
from tests.streams.world import worker

__all__ = ["dch", "world"]
pytestmark = [pytest.mark.slow, pytest.mark.broker]


@pytest.fixture
def broker(embedded):
    return embedded


@pytest.fixture
def run(dch, world, monkeypatch):
    """Run ``dch inspect`` on the topics of the world."""
    monkeypatch.setenv("COLUMNS", "200")

    def on_world(*arguments):
        servers = ["--bootstrap-servers", world.settings.bootstrap_servers, "--prefix", world.settings.prefix]
        ran = dch("inspect", *arguments, *servers)
        assert ran.code == 0, ran.err
        return ran.out

    return on_world


def test_the_worker_has_applied_what_the_topics_hold_and_without_one_the_rest_is_shown(world, run):
    model = world.publish()
    items = list(model.item_ids)[:3]
    world.describe("items", {items[0]: {"title": "[red] One"}, items[1]: {"available": False}})
    world.rate(
        ("u1", items[0], 5), ("u1", items[1], 4), ("u1", items[1], None), ("u2", items[0], 3), misroute=2
    )
    with worker(world.settings):
        found = json.loads(run("user", "u1", "--json"))
        text = run("user", "u1")
        similar = json.loads(run("item", items[0], "--json"))
    assert [(one["item"], one["value"], one["title"]) for one in found["ratings"]] == [
        (items[0], 5.0, "[red] One")
    ]
    assert found["answer"]["ratings"] == len(found["ratings"]) == 1
    assert found["owner"] == world.owner_of("u1")
    assert (found["n_void"], found["features"], found["dead_letters"]) == (1, None, {})
    assert found["n_misrouted"] >= 1, "the repartitioned copy is a record of its own"
    assert f"user u1: partition {world.owner_of('u1')} of {world.settings.partitions}" in text
    assert "[red] One" in text
    assert "the worker has applied" not in text
    assert similar["code"]["ratings"] == len(similar["ratings"]) == 2
    assert similar["code"]["generation"] == similar["answer"]["generation"] == model.generation
    alone = run("item", items[1], "--request-timeout-s", "0.2")
    assert "no reply to request" in alone
    assert "no, it is never listed" in alone
