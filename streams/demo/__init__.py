"""``dch demo``: the whole service on one machine, on real ratings. Start reading at ``main``."""
