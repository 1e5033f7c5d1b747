"""The worker: keeps codes up to date with rating events, and answers requests from them."""

from streams.worker.main import run, serve

__all__ = ["run", "serve"]
