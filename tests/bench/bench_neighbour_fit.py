"""Measure how long neighbours take to learn, and the memory for it, beside RP3beta of the package irspack.

    python tests/bench/bench_neighbour_fit.py [ITEMS RATINGS ...]

In processor time of one core, with 32 neighbours an item. Each figure is of a process of its own, in which
kernels were compiled before. Memory is the peak beyond what the ratings took, so it contains the result. The
peer is installed with ``pip install irspack``; without it, it is left out.
"""

import argparse
import ctypes
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from cases import LEARN_NEIGHBOURS, PEER_OF_NEIGHBOURS
from made_catalogue import made_histories
from record import record

from dch.models.neighbours import from_columns
from dch.training.item_products import history_matrix
from dch.training.neighbour_solver import fit_neighbours

K = 32
SIZES = ((60_000, 1_000_000), (1_000_000, 10_000_000))
"""(items, ratings)"""


def learn(bags):
    """Learn neighbours as a fit does, and return the number of weights."""
    return len(from_columns(*fit_neighbours(bags, K)).weights)


def learn_peer(bags):
    """Learn the weights of RP3beta with the settings that were best on Amazon books; return their number."""
    from irspack.recommenders.rp3 import RP3betaRecommender

    matrix = history_matrix(bags).astype(np.float64)
    return RP3betaRecommender(matrix, alpha=0.6, beta=0.4, top_k=K, n_threads=1).learn().W.nnz


LEARN = {LEARN_NEIGHBOURS: learn, PEER_OF_NEIGHBOURS: learn_peer}


def measure(case, n_items, n_ratings):
    """Print the seconds and the mebibytes of one case, and say what it was measured on."""
    made_small, bags = made_histories(500, 5_000), made_histories(n_items, n_ratings)
    LEARN[case](made_small)
    ctypes.CDLL(None).malloc_trim(0)  # what is kept for reuse would hide what the case takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start = _memory("VmRSS"), time.process_time()
    n_weights = LEARN[case](bags)
    seconds, mebibytes = time.process_time() - start, _memory("VmHWM") - before
    popularity = np.bincount(bags.tokens, minlength=n_items)
    print(
        f"{len(bags):,} users of {np.median(np.diff(bags.starts)):.0f} ratings in the median; items have "
        f"{np.median(popularity):.0f} in the median, {popularity.max():,} at most; {n_weights:,} weights",
        file=sys.stderr,
    )
    print(seconds, mebibytes)


def _memory(name):
    """Return a line of /proc/self/status in mebibytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def show(n_items, n_ratings):
    """Measure, print and record both."""
    for case in LEARN:
        command = [sys.executable, __file__, "--case", case, str(n_items), str(n_ratings)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{case}: not measured (exit code {done.returncode})")
            continue
        seconds, mebibytes = (float(figure) for figure in done.stdout.split())
        print(f"{n_items:,} items, {n_ratings:,} ratings: {case}: {seconds:.1f} s, {mebibytes:,.0f} MiB")
        record(f"{case}, s", n=n_ratings, items=n_items, bits=64, median_ms=seconds)
        record(f"{case}, MiB", n=n_ratings, items=n_items, bits=64, median_ms=mebibytes)


@pytest.mark.bench
@pytest.mark.parametrize(("n_items", "n_ratings"), SIZES)
def test_neighbours_beside_their_peer(n_items, n_ratings):
    show(n_items, n_ratings)


def main():
    """Measure the sizes that were asked for, or one case of one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--case")
    asked = parser.parse_args()
    sizes = list(zip(asked.sizes[::2], asked.sizes[1::2], strict=True)) or SIZES
    for size in sizes:
        measure(asked.case, *size) if asked.case else show(*size)


if __name__ == "__main__":
    main()
