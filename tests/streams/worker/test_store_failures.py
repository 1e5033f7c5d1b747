"""Two workers on real Kafka, of which one cannot read the store for a while: no list has fewer items."""

import urllib.request

import pytest
from random_models import random_model

from streams.messages import ErrorReply, decode_model_pointer
from tests.streams.brokers import eventually, free_ports
from tests.streams.world import worker_process

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.real_broker,
    pytest.mark.slow,
    pytest.mark.prove,
]
USERS, ITEMS = [f"u{n}" for n in range(24)], [f"i{n}" for n in range(60)]
MODEL, NEXT = (random_model(n_users=24, n_items=60, generation=n, seed=n) for n in (1, 2))
LIMIT_S, WAIT_S = 2.0, 240


@pytest.fixture(scope="module")
def broker(kafka):
    return kafka


def listed(world, user):
    """Return the generation of a user's reply and its items; the text of an error instead."""
    reply = world.ask(user, k=200, include_rated=True)
    if isinstance(reply, ErrorReply):
        return reply.error
    return (reply.generation, reply.generation_hash, frozenset(hit.item for hit in reply.items))


def answers(world):
    return {user: listed(world, user) for user in USERS}


def metric(worker, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.settings.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_worker_that_cannot_read_the_store_answers_with_errors_and_the_others_with_all_items(
    world, tmp_path
):
    mount, aside = tmp_path / "mount", tmp_path / "unmounted"
    (tmp_path / "store").mkdir()
    mount.symlink_to(tmp_path / "store")
    first = world.settings.replace(model_load_timeout_s=LIMIT_S)
    second = first.replace(metrics_port=free_ports(2), artifacts=str(mount))
    world.publish(MODEL)
    world.rate(*((user, item, 1 + at % 5, at) for at, (user, item) in enumerate(pairs())))
    with (
        worker_process(first, tmp_path / "log1", ready=False) as one,
        worker_process(second, tmp_path / "log2", ready=False) as two,
    ):
        eventually(lambda: one.is_ready() and two.is_ready(), WAIT_S)
        eventually(
            lambda: {found[0::2] for found in answers(world).values()} == {(1, frozenset(ITEMS))}, WAIT_S
        )
        mount.rename(aside)
        world.publish(NEXT)
        eventually(lambda: two.last_log_line("model not loaded yet"), WAIT_S)
        eventually(lambda: not two.is_ready(), WAIT_S)
        assert metric(two, "dch_model_load_failures_total") > 0
        eventually(lambda: metric(one, "dch_item_codes_awaited_codes") > 0, WAIT_S)
        world.rate(*((user, "i-new", 5, 10**6) for user in USERS))
        everything = frozenset([*ITEMS, "i-new"])

        def is_as_it_should_be():
            found = set(answers(world).values())
            errors = {one for one in found if isinstance(one, str)}
            lists = {(one[0], one[2]) for one in found - errors}
            assert all("cannot load generation 2" in error for error in errors)
            assert {generation for generation, _ in lists} == {1}
            assert all(items >= frozenset(ITEMS) for _, items in lists), "a list from fewer items"
            return errors and lists == {(1, everything)}

        eventually(is_as_it_should_be, WAIT_S)
        assert one.is_ready()
        assert not two.is_ready()
        aside.rename(mount)
        eventually(lambda: one.is_ready() and two.is_ready(), WAIT_S)
        eventually(lambda: len(set(answers(world).values())) == 1, WAIT_S)
        ((generation, hash_, items),) = set(answers(world).values())
        assert (generation, items) == (2, everything)
        assert hash_ == pointer_hash(world)
        expected = world.expected(NEXT)
        eventually(lambda: world.item_codes() == expected.item_codes(), WAIT_S)


def pairs():
    return [(user, item) for user in USERS for item in ITEMS]


def pointer_hash(world):
    return decode_model_pointer(world.read_all("models")[-1]).generation_hash
