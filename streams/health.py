"""Serve /metrics, /livez and /readyz over HTTP. The caller defines readiness by named checks."""

import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from streams.errors import SettingsError
from streams.process_metrics import export_process

Checks = Mapping[str, Callable[[], bool]]
"""Conditions of readiness by name: ``{"model loaded": lambda: ...}``. Any thread may call them."""


class Health:
    """The HTTP server of one process; it serves until ``close``.

    Args:
        host: address to listen on.
        port: port to listen on; 0 picks a free one.
        checks: conditions that /readyz reports.
        registry: what /metrics shows.

    Raises:
        SettingsError: the address is in use or does not belong to this machine.
    """

    def __init__(self, host: str, port: int, checks: Checks, registry: Collector = REGISTRY) -> None:
        handler = type("Handler", (_Handler,), {"checks": checks, "registry": registry})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise SettingsError(
                f"metrics cannot be served at {host}:{port}: {error.strerror or error}; "
                "choose another --metrics-port (0 picks a free one)"
            ) from error
        self._server.daemon_threads = True
        export_process(checks)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
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


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Print a traceback, but not of a client that hung up, such as Prometheus after its timeout."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    checks: Checks
    registry: Collector
    timeout = 5  # seconds: a client that connects and sends nothing must not occupy a thread forever

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            # Prometheus asks for the OpenMetrics format, the only one with exemplars.
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.registry), kind)
        elif path == "/livez":
            self._answer(200, b"alive\n")
        elif path == "/readyz":
            failing = [name for name, check in self.checks.items() if not check()]
            text = "not ready; not fulfilled: " + ", ".join(failing) if failing else "ready"
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
        """Log nothing: probes arrive every few seconds."""
