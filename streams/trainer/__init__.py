"""The trainer: reads the log, refits when it is due, publishes what is good enough."""

from streams.trainer.role import run

__all__ = ["run"]
