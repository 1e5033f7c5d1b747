"""``dch demo``: the whole service on one machine, on real ratings, in a few minutes. Starts in ``script``."""
