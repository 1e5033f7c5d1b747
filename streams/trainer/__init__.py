"""The trainer: refits the towers on everything on the log, and publishes what is good enough."""

from streams.trainer.main import run, serve

__all__ = ["run", "serve"]
