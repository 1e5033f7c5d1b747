"""The trainer: refits the towers on all ratings, and publishes new models unless they are clearly worse."""

from streams.trainer.main import run, serve

__all__ = ["run", "serve"]
