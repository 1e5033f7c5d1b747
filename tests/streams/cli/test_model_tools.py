"""``dch models``: what was published, which one is in service, and going back."""

import dataclasses
import json
import shutil

import pytest
from msgspec.structs import replace

from streams import artifacts
from streams.messages import decode_model_pointer
from streams.settings import WorkerSettings
from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
from tests.streams.cli.running import dch
from tests.streams.world import World

__all__ = ["dch"]


@pytest.fixture
def broker(embedded):
    return embedded


@pytest.fixture
def world(settings, tmp_path):
    found = World(settings.as_role(WorkerSettings, artifacts=str(tmp_path / "store")), tmp_path)
    yield found
    found.close()


@pytest.fixture
def run(dch, world):
    """Run a command on the topics and the store of the world."""
    own = world.settings

    def on_world(*arguments):
        more = ["--prefix", own.prefix, "--artifacts", own.artifacts]
        return dch("models", *arguments, "--bootstrap-servers", own.bootstrap_servers, *more)

    return on_world


def test_models_are_listed_with_figures_and_a_rollback_is_shown_as_what_it_is(world, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "no model was published yet" in run("list").out
    refused = run("rollback")
    assert (refused.code, "none to go back to" in refused.err) == (1, True)
    first = world.publish(watermarks={"0": 70, "3": 30})
    second = dataclasses.replace(first, generation=first.generation + 1, generation_hash="")
    world.publish(second, metrics={NEWEST_NDCG: 0.25, IN_SERVICE_NDCG: 0.5})
    done = run("rollback")
    assert (done.code, done.err) == (0, "")
    old, bad, new = first.generation, first.generation + 1, first.generation + 2
    assert f"published generation {new}, a copy of generation {old}, in place of generation {bad}" in done.out
    rows = [json.loads(line) for line in run("list", "--json").out.splitlines()]
    pointers = [decode_model_pointer(record) for record in world.read_all("models")]
    assert [row["generation"] for row in rows] == [old, bad, new]
    assert [row["is_in_service"] for row in rows] == [False, False, True]
    assert [row["ratings"] for row in rows] == [100, 0, 100]
    assert [(row["ndcg_before"], row["ndcg_after"]) for row in rows] == [
        (None, None),
        (0.5, 0.25),
        (None, None),
    ]
    assert [(row["rolled_back_from"], row["rolled_back_to"]) for row in rows] == [(None, None)] * 2 + [
        (bad, old)
    ]
    assert [row["location"] for row in rows] == [pointer.location for pointer in pointers]
    assert [row["generation_hash"] for row in rows] == [pointer.generation_hash for pointer in pointers]
    shutil.rmtree(pointers[0].location)
    away = replace(pointers[1], generation=new + 1, location="s3://elsewhere/gen", sha256="00" * 32)
    artifacts.publish_pointer(world.settings, away)
    shown = run("list").out
    for row in rows:
        assert row["generation_hash"] in shown
    assert "0.500 to 0.250" in shown
    found = [" ".join(line.split()) for line in shown.splitlines()]
    assert [line.endswith("- removed") for line in found if line.startswith(f"{old} ")] == [True]
    assert f"in service, rolled back from {bad} to {old}" in " ".join(found)
    assert [line.endswith("0.250 outside") for line in found if line.startswith(f"{new + 1} ")] == [True]
    last = json.loads(run("list", "--json").out.splitlines()[-1])
    assert (last["is_in_service"], last["is_stored"], last["is_outside"]) == (False, False, True)
