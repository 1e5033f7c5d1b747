"""Serve /metrics, /livez and /readyz from one thread. What "ready" means is given as named checks."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.errors import SettingsError

Checks = Mapping[str, Callable[[], bool]]
"""What must hold before a process is ready, by name: ``{"model loaded": lambda: ...}``; any thread calls."""


class Health:
    """The HTTP server of one process; serves from birth until ``close``.

    Args:
        host: address to listen on.
        port: port; 0 takes any free one, see ``port``.
        checks: what /readyz asks.

    Raises:
        SettingsError: the address is taken or is not ours.
    """

    def __init__(self, host: str, port: int, checks: Checks) -> None:
        handler = type("Handler", (_Handler,), {"checks": checks})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise SettingsError(
                f"metrics cannot be served at {host}:{port}: {error.strerror or error}; "
                "choose another --metrics-port (0 takes any free one)"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that was given by the system or by the setting."""
        return self._server.server_address[1]

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "Health":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    checks: Checks
    timeout = 5  # seconds: a client that connects and says nothing must not hold a thread for ever

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
        elif path == "/livez":
            self._answer(200, b"alive\n")
        elif path == "/readyz":
            failing = [name for name, holds in self.checks.items() if not holds()]
            text = "not ready: " + ", ".join(failing) if failing else "ready"
            self._answer(503 if failing else 200, text.encode() + b"\n")
        else:
            self._answer(404, b"try /metrics, /livez or /readyz\n")

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Say nothing: a probe every few seconds is no news."""
