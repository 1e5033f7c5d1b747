"""A worker serves a model with neighbours: its lists are those of the library, with scores and reasons."""

import uuid

import pytest
from random_models import random_model, random_neighbours

from dch import Recommender
from dch.queries import query_user
from streams.settings import WorkerSettings
from tests.streams.brokers import eventually, free_ports
from tests.streams.world import SETTINGS, World, worker

N_ITEMS = 25
"""Five more than the fit knows."""

DEFAULT_K = 20
"""What a request without ``k`` asks for: a list in which 5% of the positions are one."""

MODEL = random_model(
    n_items=20, n_users=9, bits=64, hidden=64, neighbours=random_neighbours(20, 5, share=3e-6)
)


@pytest.fixture
def world(broker, tmp_path):
    settings = WorkerSettings(
        bootstrap_servers=broker,
        prefix=f"t{uuid.uuid4().hex[:10]}-",
        artifacts=str(tmp_path / "store"),
        metrics_port=free_ports(2),
        **SETTINGS,
    )
    found = World(settings, tmp_path)
    yield found
    found.close()


def test_lists_from_the_stream_are_those_of_the_library_by_the_default_strategy(world):
    world.publish(MODEL)
    world.rate(*((f"u{n % 9}", f"i{n * 7 % N_ITEMS}", 1 + n % 5) for n in range(90)))
    world.rate(("u1", "i7", None), ("u2", "i0", 5), ("u2", "i0", 2))
    with worker(world.settings):
        library = world.expected(MODEL)
        codes = library.item_codes()
        eventually(lambda: world.item_codes() == codes)
        for user in (f"u{n}" for n in range(9)):
            expected = library.answer(query_user(library.state, user, explain=True), 8)
            reply = eventually(
                lambda user=user, n=expected.ratings: (
                    (one := world.ask(user, k=8, explain=True)).ratings == n and one
                )
            )
            assert reply.strategy == expected.strategy == "codes+rerank+neighbours"
            assert [(item.item, item.distance, item.score) for item in reply.items] == [
                hit[:3] for hit in expected.hits
            ]
            because = [[(one.item, one.share) for one in item.because] for item in reply.items]
            assert because == [[tuple(reason) for reason in hit.because] for hit in expected.hits]
            assert any(because)
        similar = world.ask(similar_to="i3", k=8)
        assert similar.strategy == "codes+rerank+neighbours"
        assert [item.item for item in similar.items] == [hit.item for hit in library.similar_items("i3", 8)]


LARGE = random_model(
    n_items=300, n_users=9, bits=64, hidden=64, neighbours=random_neighbours(300, 5, share=3e-6)
)
"""Has enough fitted items for lists that hold no new one, unless a position is reserved."""


def test_at_default_settings_one_of_twenty_positions_is_a_new_item_and_the_rest_is_the_librarys_list(
    world, tmp_path
):
    """What offline tables measure is the library's default list: it reserves no position."""
    world.publish(LARGE)
    world.rate(*((f"u{n % 9}", f"i{n * 7 % 303}", 1 + n % 5) for n in range(303)))
    with worker(world.settings):
        served = world.expected(LARGE)
        assert served.new_item_share == WorkerSettings().new_item_share == 0.05
        served.save(tmp_path / "saved")
        library = Recommender.load(tmp_path / "saved")
        codes = served.item_codes()
        eventually(lambda: world.item_codes() == codes)
        n_changed = 0
        for user in (f"u{n}" for n in range(9)):
            ratings = query_user(served.state, user).ratings
            reply = eventually(lambda user=user, n=ratings: (one := world.ask(user)).ratings == n and one)
            listed = [item.item for item in reply.items]
            assert listed == [hit.item for hit in served.recommend(user)]
            plain = [hit.item for hit in library.recommend(user)]
            assert len(listed) == len(plain) == DEFAULT_K
            new = [item for item in listed if int(item[1:]) >= 300]
            assert new
            if listed != plain:  # no new item was in the list: the best one took the last position
                assert listed[:-1] == plain[:-1]
                assert new == listed[-1:]
                n_changed += 1
            assert listed == [hit.item for hit in library.recommend(user, new_item_share=0.05)]
        assert n_changed
