"""The embedded broker, run as users run it: start, end, fetches and consumer groups."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka.admin import AdminClient

from dch.errors import MissingExtraError
from streams.demo.broker import embedded as module
from streams.demo.broker import wire
from streams.kafka import BEGINNING, Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.settings import KafkaSettings
from streams.topics import NewTopic
from tests.streams.brokers import embedded_broker, eventually

MEMBER = Path(__file__).with_name("member.py")


def dch(*arguments):
    command = [sys.executable, "-m", "streams", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def children(pid):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def is_alive(pid):
    return (
        Path(f"/proc/{pid}").exists()
        and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    )


def create(address, topic, partitions=1):
    settings = KafkaSettings(bootstrap_servers=address, batch_wait_s=0.01)
    Admin(settings).create([NewTopic(topic, partitions, -1)])
    return settings


def read_all(settings, topic, n):
    consumer = Consumer(settings, group=topic, start="earliest")
    consumer.assign({Partition(topic, 0): BEGINNING})
    found = []
    eventually(lambda: found.extend(consumer.poll()) or len(found) >= n)
    consumer.close()
    return found


@pytest.mark.broker
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_broker_and_its_child(tmp_path, name):
    with embedded_broker(tmp_path / "data") as process:
        child = children(process.pid)
        assert len(child) == 1
        process.send_signal(getattr(signal, name))
        assert process.wait(20) == 0
        assert not is_alive(child[0])


@pytest.mark.broker
def test_records_and_offsets_survive_a_restart(tmp_path):
    with embedded_broker(tmp_path / "data") as process:
        settings = create(process.address, "kept")
        producer = Producer(settings)
        producer.send(Output("kept", b"k", b"v"))
        producer.flush()
        consumer = Consumer(settings, group="g", start="earliest")
        consumer.assign({Partition("kept", 0): None})
        eventually(consumer.poll)
        consumer.mark_applied()
        consumer.commit()
        consumer.close()
    with embedded_broker(tmp_path / "data") as process:
        settings = KafkaSettings(bootstrap_servers=process.address, batch_wait_s=0.01)
        assert [record.value for record in read_all(settings, "kept", 1)] == [b"v"]
        consumer = Consumer(settings, group="g", start="earliest")
        assert consumer.committed([Partition("kept", 0)]) == {Partition("kept", 0): 1}
        consumer.close()


@pytest.mark.broker
def test_each_reason_not_to_start_is_reported_with_a_remedy(tmp_path, embedded):
    port = embedded.rpartition(":")[2]
    taken = dch("broker", "start", "--data", tmp_path / "a", "--port", port)
    (tmp_path / "file").touch()
    no_folder = dch("broker", "start", "--data", tmp_path / "file" / "x", "--port", 0)
    with embedded_broker(tmp_path / "b"):
        twice = dch("broker", "start", "--data", tmp_path / "b", "--port", 0)
    for found, message in [
        (taken, f"dch: port {port} of 127.0.0.1 is in use; choose another --port (0 picks a free one)\n"),
        (no_folder, "cannot be written: Not a directory; choose another --data\n"),
        (twice, "noida-db is already running for"),
    ]:
        assert found.returncode == 1
        assert message in found.stderr
        assert "Traceback" not in found.stderr


def test_without_noida_db_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"not installed; run: pip install -c constraints.txt '.\[demo\]'"
    ):
        module.binary()


@pytest.mark.broker
def test_the_broker_advertises_the_port_of_the_proxy(embedded):
    brokers = AdminClient({"bootstrap.servers": embedded}).list_topics(timeout=10).brokers
    assert [f"{one.host}:{one.port}" for one in brokers.values()] == [embedded]


@pytest.mark.broker
def test_a_fetch_reply_is_limited_to_a_megabyte_and_a_consumer_still_reads_everything(embedded, prefix):
    topic = prefix + "backlog"
    settings = create(embedded, topic)
    producer = Producer(settings, linger_ms=0)
    for _ in range(12):
        producer.send(Output(topic, b"k", os.urandom(300_000)))
        producer.flush()
    first = ask(embedded, fetch(topic))
    assert 900_000 < len(first) <= wire.PARTITION_BYTES + 200
    assert [record.offset for record in read_all(settings, topic, 12)] == list(range(12))


def fetch(topic):
    name = struct.pack(">h", len(topic)) + topic.encode()
    head = struct.pack(">hhih", wire.FETCH, 4, 1, -1) + struct.pack(">iiiib", -1, 1000, 1, 50 << 20, 0)
    return head + struct.pack(">i", 1) + name + struct.pack(">iiqi", 1, 0, 0, 50 << 20)


def ask(address, frame):
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rwb") as stream:
        stream.write(len(frame).to_bytes(4, "big") + frame)
        stream.flush()
        return stream.read(int.from_bytes(stream.read(4), "big"))


class Member:
    """A member of a consumer group as a process, and the partitions assigned to it."""

    def __init__(self, address, topic, strategy, output):
        self.output = output
        with output.open("w") as out:
            command = [sys.executable, str(MEMBER), address, topic, topic, strategy]
            self.process = subprocess.Popen(command, stdout=out)

    def partitions(self):
        lines = self.output.read_text().split("\n")[:-1]
        return set(map(int, lines[-1].split())) if lines else set()

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_members_share_the_partitions_and_take_over_those_of_a_killed_member(
    broker, prefix, strategy, tmp_path
):
    topic = prefix + "shared"
    create(broker, topic, partitions=4)
    with ExitStack() as stack:
        first = Member(broker, topic, strategy, tmp_path / "first")
        stack.callback(first.kill)
        eventually(lambda: first.partitions() == {0, 1, 2, 3}, 30)
        second = Member(broker, topic, strategy, tmp_path / "second")
        stack.callback(second.kill)
        eventually(lambda: len(first.partitions()) == len(second.partitions()) == 2, 30)
        assert first.partitions() | second.partitions() == {0, 1, 2, 3}
        second.kill()
        eventually(lambda: first.partitions() == {0, 1, 2, 3}, 40)


@pytest.mark.broker
def test_aiokafka_reads_and_writes_through_the_proxy(embedded, prefix):
    async def send_and_read():
        producer = AIOKafkaProducer(bootstrap_servers=embedded, enable_idempotence=True)
        consumer = AIOKafkaConsumer(
            prefix + "aio", bootstrap_servers=embedded, group_id=prefix + "aio", auto_offset_reset="earliest"
        )
        await producer.start()
        await producer.send_and_wait(prefix + "aio", b"value", key=b"u1", headers=[("h", b"\xff")])
        await consumer.start()
        record = await asyncio.wait_for(consumer.getone(), 20)
        await consumer.stop()
        await producer.stop()
        return record

    create(embedded, prefix + "aio", partitions=4)
    record = asyncio.run(send_and_read())
    assert (record.partition, record.key, record.value, record.headers) == (
        0,
        b"u1",
        b"value",
        (("h", b"\xff"),),
    )
