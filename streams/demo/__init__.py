"""``dch demo``: the whole service on one machine, on real ratings, in a few minutes."""

from streams.demo.script import run

__all__ = ["run"]
