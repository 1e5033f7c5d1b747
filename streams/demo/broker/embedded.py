"""Run the embedded broker: the binary of the noida-db wheel as a child process behind the proxy."""

import asyncio
import errno
import logging
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from dch.errors import MissingExtraError
from streams.demo.broker.proxy import Proxy
from streams.demo.broker.store import Store
from streams.errors import EmbeddedBrokerError
from streams.lifecycle import end_with_parent

log = logging.getLogger("streams.demo.broker")
HOST = "127.0.0.1"
START_S = 300.0  # an empty broker starts in 15 ms; a large data folder or a busy machine takes longer
STOP_S = 20.0  # noida-db writes its state when it ends: 4 s for 600,000 records


def run(data: Path, port: int, announce: Callable[[str], None]) -> None:
    """Run the broker until SIGINT or SIGTERM.

    Args:
        data: folder of topics and offsets; created if missing.
        port: port for clients; 0 picks a free one.
        announce: called with the address once clients may connect.

    Raises:
        MissingExtraError: noida-db is not installed.
        EmbeddedBrokerError: the folder cannot be written, the port is in use, or noida-db failed.
    """
    asyncio.run(_run(binary(), _folder(data), port, announce))


def binary() -> Path:
    """Return the noida-db binary of the wheel. Its Python launcher does not forward signals.

    Raises:
        MissingExtraError: noida-db is not installed.
    """
    found = find_spec("noida_db")
    if found is None or found.origin is None:
        raise MissingExtraError(
            "the embedded broker needs noida-db, which is not installed; "
            "run: pip install -c constraints.txt '.[demo]'"
        )
    return Path(found.origin).with_name("noida-db")


def _folder(data: Path) -> Path:
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EmbeddedBrokerError(
            f"the data folder {str(data)!r} cannot be written: {error.strerror}; choose another --data"
        ) from error
    return data.resolve()


async def _run(program: Path, data: Path, port: int, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    store = Store(data)
    async with _child(program, data) as (child, upstream), _proxy(port, upstream, store) as proxy:
        announce(f"{HOST}:{proxy.port}")
        tasks = [
            asyncio.ensure_future(one) for one in (stop.wait(), child.wait(), store.watch(), proxy.failure)
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        if stop.is_set():
            log.info("stopping")
            return
        for task in done:
            task.result()  # raises what the store or the proxy failed with
        raise EmbeddedBrokerError(f"noida-db ended unexpectedly with exit code {child.returncode}")


@asynccontextmanager
async def _proxy(port: int, upstream: int, store: Store) -> AsyncIterator[Proxy]:
    proxy = Proxy(HOST, port, upstream, note_produced=store.note_produced)
    try:
        server = await proxy.serve()
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        raise EmbeddedBrokerError(
            f"port {port} of {HOST} {reason}; choose another --port (0 picks a free one)"
        ) from error
    expiring = asyncio.create_task(proxy.expire_members())
    try:
        yield proxy
    finally:
        expiring.cancel()
        server.close()


@asynccontextmanager
async def _child(program: Path, data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Start noida-db on a free port, yield its process and the port, and end it on exit."""
    child = await asyncio.create_subprocess_exec(
        *(program, "start", "--only", "kafka", "--kafka-port", "0", "--host", HOST, "--data-dir", data),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches only the parent, which ends this one after the clients
        preexec_fn=end_with_parent,
    )
    assert child.stdout is not None
    try:
        port = await _port_in_time(child.stdout)
        draining = asyncio.create_task(_drain(child.stdout))
        yield child, port
        draining.cancel()
    finally:
        await _end(child)


async def _drain(lines: asyncio.StreamReader) -> None:
    """Discard the output of the child, so that the pipe never fills up and blocks it."""
    while await lines.read(1 << 16):
        pass


async def _port_in_time(lines: asyncio.StreamReader) -> int:
    try:
        return await asyncio.wait_for(_port(lines), START_S)
    except TimeoutError:
        raise EmbeddedBrokerError(
            f"noida-db runs, but named no port within {START_S:g} s; is this machine overloaded?"
        ) from None


async def _port(lines: asyncio.StreamReader) -> int:
    message = ""
    while line := (await lines.readline()).decode(errors="replace").strip():
        if found := re.search(rf"kafka\s+{re.escape(HOST)}:(\d+)", line):
            return int(found[1])
        if not message or line.startswith(("error:", "noida-db:")):
            message = line.removeprefix("error: ")
    raise EmbeddedBrokerError(f"noida-db did not start: {message or 'it printed nothing'}")


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), STOP_S)
    except TimeoutError:
        log.warning("noida-db did not end in time and was killed timeout_s=%g", STOP_S)
        child.kill()
        await child.wait()
