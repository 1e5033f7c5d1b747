"""The trainer reads the log to its end before it fits: by positions, never by silence."""

from itertools import pairwise

import pytest

from streams.kafka.records import Output
from streams.settings import TrainerSettings
from streams.trainer.source import Source
from tests.streams import transactions
from tests.streams.brokers import alter_quota, eventually, own_cluster
from tests.streams.world import SETTINGS, World

SETTINGS_OF_TRAINER = {name: value for name, value in SETTINGS.items() if name != "encode_interval_s"}
pytestmark = [pytest.mark.slow, pytest.mark.broker]


def outputs(world, name, ids=range(12)):
    return [Output(world.topic(name), f"u{n}".encode(), transactions.rating(f"u{n}", n)) for n in ids]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("ratings", "commit"),
        *(
            pytest.param(name, how, marks=pytest.mark.prove)
            for name, how in [
                ("ratings", "abort"),
                ("ratings", "open"),
                ("users", "commit"),
                ("users", "abort"),
                ("users", "open"),
            ]
        ),
    ],
)
def test_the_end_is_reached_behind_a_transaction_while_ratings_keep_coming(world, name, how):
    world.rate(*[(f"u{n}", "i1", 5.0) for n in range(5)])
    transactions.write(world.settings, outputs(world, name), how)
    source = Source(world.settings.as_role(TrainerSettings))
    try:
        with transactions.busy_ratings(world):
            eventually(lambda: source.read() or source.is_caught_up, 30)
        ends = world.ends("ratings")
        eventually(lambda: source.read() or source.positions() == ends)
        visible = 12 if (name, how) == ("ratings", "commit") else 0
        rated = [record for record in world.read_all("ratings") if record.key != b"busy"]
        assert len(rated) == 5 + visible
        assert len(source.log) == len(world.read_all("ratings"))
    finally:
        source.close()


@pytest.mark.real_broker
@pytest.mark.prove
def test_a_trainer_that_fits_once_reads_all_ratings_under_a_quota(tmp_path, prefix):
    """A broker that throttles gives nothing for seconds, which is not the end of the log."""
    n = 20_000
    with own_cluster(tmp_path / "kafka") as cluster:
        settings = TrainerSettings(bootstrap_servers=cluster.address, prefix=prefix, **SETTINGS_OF_TRAINER)
        world = World(settings, tmp_path)
        world.rate(*[(f"u{at % 40}", f"i{at % 59}", float(at % 5 + 1), at) for at in range(n)])
        alter_quota(cluster.address, "--add-config", "consumer_byte_rate=100000")
        source = Source(settings.replace(batch_records=500))
        try:
            n_read = []
            eventually(lambda: source.read() or n_read.append(len(source.log)) or source.is_caught_up, 120)
            assert n_read[-1] == n
            assert any(before == after > 0 for before, after in pairwise(n_read)), "it was never silent"
        finally:
            source.close()
            world.close()


@pytest.mark.real_broker
@pytest.mark.prove
def test_a_broker_that_hangs_while_the_log_is_read_is_not_taken_for_its_end(tmp_path, prefix, caplog):
    small = {"queued.max.messages.kbytes": "64", "socket.timeout.ms": "6000"}
    small |= dict.fromkeys(("fetch.max.bytes", "message.max.bytes", "max.partition.fetch.bytes"), "20000")
    n = 20_000
    with own_cluster(tmp_path / "kafka") as cluster:
        settings = TrainerSettings(bootstrap_servers=cluster.address, prefix=prefix, **SETTINGS_OF_TRAINER)
        world = World(settings, tmp_path)
        world.rate(*[(f"u{at % 40}", f"i{at % 59}", float(at % 5 + 1), at) for at in range(n)])
        source = Source(settings.replace(kafka=small, batch_records=500))
        try:
            eventually(lambda: source.read() or len(source.log) >= n // 10, 60)
            with cluster.paused(), caplog.at_level("INFO", "streams.kafka"):
                eventually(lambda: source.read() or "Timed out FetchRequest" in caplog.text, 60)
                assert not source.is_caught_up
                assert len(source.log) < n, "everything was read before the broker hung"
            eventually(lambda: source.read() or source.is_caught_up, 60)
            assert len(source.log) == n
        finally:
            source.close()
            world.close()
