"""The worker end to end: ratings in, fresh lists out."""

from tests.streams.brokers import eventually
from tests.streams.world import worker


def test_a_new_users_list_changes_with_each_rating(world):
    world.publish()
    world.rate(*((f"u{u}", f"i{i}", 1 + (u + i) % 5) for u in range(6) for i in range(8) if i != u))
    with worker(world.settings):
        before = world.ask("somebody new", k=5)
        assert before.strategy == "popular"
        assert len(before.items) == 5
        assert before.code is None
        world.rate(("somebody new", "i0", 5))
        after = eventually(lambda: (found := world.ask("somebody new", k=5)).code and found)
        assert after.strategy == "codes+rerank"
        assert "i0" not in [hit.item for hit in after.items]
        world.rate(("somebody new", "i1", 5))
        eventually(lambda: world.ask("somebody new", k=5).code != after.code)
