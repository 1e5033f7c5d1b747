"""Records from situations that people reported, in the folder that ``DCH_TEST_CASES`` names.

Each case is a script that sends records to one worker and prints what came of them; the README beside it says
what is right.
"""

import ast
import os
import subprocess
import sys
import uuid

import pytest
from random_models import random_model

from streams.settings import WorkerSettings
from tests.streams.brokers import eventually, free_ports
from tests.streams.world import SETTINGS, World, worker

pytestmark = [pytest.mark.prove, pytest.mark.broker, pytest.mark.real_broker]

ITEMS = [f"i{row}" for row in range(10)]
ATTEMPTS = 5


@pytest.fixture(scope="module")
def world(kafka, tmp_path_factory):
    """A world with a worker that lists ten items; each case uses other users."""
    folder = tmp_path_factory.mktemp("world")
    settings = WorkerSettings(
        bootstrap_servers=kafka,
        prefix=f"t{uuid.uuid4().hex[:10]}-",
        artifacts=str(folder / "store"),
        metrics_port=free_ports(2),
        **SETTINGS,
    )
    found = World(settings, folder)
    found.publish(random_model(n_items=len(ITEMS), bits=64, hidden=64))
    found.rate(*((f"u{u}", item, 5) for u in range(6) for item in ITEMS))
    with worker(settings):
        eventually(lambda: sorted(found.items_for("nobody", k=100)) == ITEMS)
        yield found
    found.close()


@pytest.fixture
def check(case, world):
    """Run a script of the cases until it prints what is right: it sleeps, and the machine may be busy."""

    def run(name, is_right):
        found = [_printed(case("kafka") / f"{name}.py", world.settings)]
        while not is_right(*found[-1]) and len(found) < ATTEMPTS:
            found.append(_printed(case("kafka") / f"{name}.py", world.settings))
        assert is_right(*found[-1]), found

    return run


def _printed(script, settings):
    environ = {"DCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers, "DCH_PREFIX": settings.prefix}
    ran = subprocess.run(
        [sys.executable, script.name],
        cwd=script.parent,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return ran.stdout.splitlines()


def test_times_in_seconds_are_times(check):
    check(
        "07-seconds",
        lambda changed, returned: changed.endswith("change the code: True") and "'codes+rerank'" in returned,
    )


def test_one_user_has_one_code_however_its_number_is_written(check):
    def is_right(codes):
        found = ast.literal_eval(codes)
        return len(found) == 3 and len(set(found.values())) == 1 and None not in found.values()

    check("09-number-ids", is_right)


def test_keys_of_other_serializers_are_unwrapped_or_dead_letters(check, world):
    """The Avro key of i2 has eight bytes, so that it may as well be an int64."""
    check(
        "10-keys",
        lambda titles, forgotten, letters: (
            "Title of i1" in titles and "'popular'" in forgotten and letters == "c. dead letters: 1"
        ),
    )
    assert {record.key for record in world.read_all("items-dlt")} == {b"\0\0\0\0\x05\x04i2"}


def test_items_are_switched_off_by_what_is_no_json_false(check, world):
    check("15-available", lambda found: found == "{'i0': 'hidden', 'i1': 'hidden', 'i2': 'hidden'}")
    assert sorted(world.items_for("nobody", k=100)) == ITEMS[3:]


def test_an_item_whose_availability_is_not_understood_is_a_dead_letter(world):
    world.describe("items", {"i9": {"title": "Nine", "available": "perhaps"}})
    eventually(lambda: any(b"perhaps" in letter.value for letter in world.read_all("items-dlt")))
    assert "i9" in world.items_for("nobody", k=100)
