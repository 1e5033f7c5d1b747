"""The trainer: refits the towers on all ratings of the log, and publishes models that are good enough."""

from streams.trainer.main import run, serve

__all__ = ["run", "serve"]
