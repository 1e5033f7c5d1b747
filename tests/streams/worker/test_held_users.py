"""After a stop of all workers, records of `users` wait for a replay of `ratings`: in Kafka, not in memory."""

from streams.worker.held_records import HeldRecords
from tests.streams.brokers import eventually
from tests.streams.world import worker

USERS = [f"u{n}" for n in range(40)]
N_RATINGS, N_RECORDS, LIMIT, BATCH = 8000, 600, 20, 50


def test_a_long_backlog_of_users_is_read_when_the_ratings_are_and_forgets_them_all(world, monkeypatch):
    settings = world.settings.replace(batch_records=BATCH)
    world.publish()
    with worker(world.settings):
        world.rate(*[(USERS[n % 40], f"i{n % 61}", 5.0, n) for n in range(N_RATINGS)])
        eventually(lambda: world.committed("ratings") == world.ends("ratings"), 60)
    for n in range(N_RECORDS):
        world.describe("users", {USERS[n % 40]: {"age": n}})
    for user in USERS:
        world.send("users", user, None)
    n_held = []
    monkeypatch.setattr("streams.worker.held_records.MAX_HELD_RECORDS", LIMIT)
    is_full = HeldRecords.is_full
    monkeypatch.setattr(
        HeldRecords,
        "is_full",
        lambda held: n_held.append(sum(len(found) for found in held._held.values())) or is_full(held),
    )
    with worker(settings):
        eventually(lambda: world.committed("users") == world.ends("users"), 120)
        assert {world.ask(user, k=1).ratings for user in USERS} == {0}
    assert max(n_held) < LIMIT + BATCH  # how many wait depends on when the ratings are read
