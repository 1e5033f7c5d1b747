"""Measure one fit with default settings on all ratings of a data set, after kernels are compiled.

python tests/bench/bench_fit.py [ml-1m]
"""

import os
import sys
import time
from pathlib import Path

import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.training import fit_model

sys.path.insert(0, str(Path(__file__).parent))
from record import record

DATA = Path(os.environ.get("DCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.bench
@pytest.mark.realdata
@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_fit(name):
    main(name)


def main(name):
    """Compile the kernels by a fit of two steps, then time a full fit; print and record its duration."""
    ratings = Ratings.read(DATA / name / "ratings.csv.gz")
    fit_model(ratings, DchConfig(steps=2))
    start = time.perf_counter()
    model = fit_model(ratings, DchConfig())
    seconds = time.perf_counter() - start
    record(f"fit, {name}", n=len(ratings), items=ratings.n_items, bits=model.bits, median_ms=1000 * seconds)
    print(f"fit, {name}: {seconds:.1f} s, {model.metrics}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["ml-1m"]))
