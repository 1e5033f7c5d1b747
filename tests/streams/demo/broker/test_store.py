"""A broker whose store cannot be written ends, before or as soon as acknowledged records would be lost."""

import asyncio
import os
import resource
import subprocess
import sys
import threading

import pytest
from confluent_kafka import Producer as ConfluentProducer

from streams.demo.broker import embedded as module
from streams.demo.broker.store import BYTES_PER_BYTE, LOOK_S, MARGIN_BYTES, STUCK_LOOKS, Store, room_in
from streams.errors import EmbeddedBrokerError
from tests.streams.brokers import embedded_broker
from tests.streams.demo.broker.test_embedded import create, read_all

MB = 1 << 20


def test_a_record_without_room_for_one_more_copy_of_everything_is_refused(tmp_path):
    (tmp_path / "kafka.json").write_bytes(b"x" * 3 * MB)
    needed = 3 * MB + BYTES_PER_BYTE * 3000 + MARGIN_BYTES
    Store(tmp_path, lambda folder: needed).note_produced(3000)
    with pytest.raises(
        EmbeddedBrokerError, match=r"takes 11 MB to write all records again, and 10 MB are free"
    ):
        Store(tmp_path, lambda folder: 10 * MB).note_produced(3000)


def test_what_was_produced_since_the_store_was_written_needs_room_too(tmp_path):
    store = Store(tmp_path, lambda folder: MARGIN_BYTES + 10 * BYTES_PER_BYTE)
    store.look()
    store.note_produced(8)
    with pytest.raises(EmbeddedBrokerError):
        store.note_produced(8)
    (tmp_path / "kafka.json").write_bytes(b"")
    store.look()
    store.note_produced(8)


def test_a_store_that_is_left_half_written_is_an_error(tmp_path):
    store, half = Store(tmp_path), tmp_path / "kafka.tmp"
    for size in range(3 * STUCK_LOOKS):  # it grows, however slowly
        half.write_bytes(b"x" * size)
        store.look()
    half.rename(tmp_path / "kafka.json")
    for _ in range(3 * STUCK_LOOKS):  # nothing to write
        store.look()
    half.write_bytes(b"x")
    with pytest.raises(EmbeddedBrokerError, match=r"could not write .*kafka.json.* after \d\d:\d\d"):
        look_often(store)


def look_often(store):
    for _ in range(STUCK_LOOKS + 1):
        store.look()


def test_the_room_is_that_of_the_disk_and_of_the_limit_of_the_process(tmp_path):
    disk = os.statvfs(tmp_path)
    assert 0 < room_in(tmp_path) <= disk.f_blocks * disk.f_frsize
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "from pathlib import Path; from streams.demo.broker.store import room_in; print(room_in(Path('.')))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "5000\n"


@pytest.mark.broker
def test_a_broker_that_runs_out_of_room_ends_and_keeps_every_acknowledged_record(tmp_path):
    limit = MARGIN_BYTES + 3 * MB
    with embedded_broker(tmp_path / "data", limits={resource.RLIMIT_FSIZE: limit}) as process:
        settings = create(process.address, "kept")
        n_acknowledged = acknowledged_until_end(process.address, process)
        assert process.wait(30) == 1
    assert "no room in" in (tmp_path / "data.log").read_text()
    assert n_acknowledged > 100
    with embedded_broker(tmp_path / "data") as process:
        kept = read_all(settings.replace(bootstrap_servers=process.address), "kept", n_acknowledged)
    assert len(kept) >= n_acknowledged


def acknowledged_until_end(address, process, flush_s=1.0):
    """Produce until the broker has ended; return how many records it acknowledged."""
    errors = []
    producer = ConfluentProducer(
        {
            "bootstrap.servers": address,
            "message.timeout.ms": 3000,
            "on_delivery": lambda e, m: errors.append(e),
        }
    )
    while process.poll() is None and not any(errors):
        for _ in range(100):
            producer.produce("kept", os.urandom(300), partition=0)
        producer.flush(flush_s)
    producer.flush(5)
    return sum(error is None for error in errors)


@pytest.mark.broker
@pytest.mark.prove
def test_a_full_disk_that_nobody_foresaw_ends_the_broker(tmp_path, monkeypatch):
    """noida-db itself, on a disk of 2 MB, with a proxy that believes in endless room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted: this needs root")
    monkeypatch.setattr(module, "Store", lambda folder: Store(folder, lambda folder: 1 << 60))
    ended = threading.Event()

    def produce(address):
        process = type("Broker", (), {"poll": lambda self: 1 if ended.is_set() else None})()
        thread = threading.Thread(target=acknowledged_until_end, args=(address, process, LOOK_S))
        thread.start()
        producing.append(thread)

    producing = []
    try:
        with pytest.raises(EmbeddedBrokerError, match=r"could not write .*kafka.json.*is the disk full"):
            asyncio.run(module._run(module.binary(), disk, 0, produce))
    finally:
        ended.set()
        for thread in producing:
            thread.join(30)
        subprocess.run(["umount", str(disk)], check=True)
