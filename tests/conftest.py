"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# One thread for each fit: tests run side by side, and threads of one fit that wait for each other take the
# cores from the others. Set before torch is imported; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Derandomised: a failure repeats. No deadline: the first example compiles kernels.
settings.register_profile("dch", deadline=None, derandomize=True)
settings.load_profile("dch")

TEST_DATA = Path(os.environ.get("DCH_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Where the real data sets are; they are not for redistribution and never part of this repository."""


@pytest.fixture
def real_data():
    """Return a function from the name of a data set to its folder; skip where it is not."""

    def folder(name):
        if not (TEST_DATA / name).is_dir():
            pytest.skip(f"no folder {TEST_DATA / name}; set DCH_TEST_DATA to the folder of the data sets")
        return TEST_DATA / name

    return folder


TEST_CASES = Path(os.environ.get("DCH_TEST_CASES", Path(__file__).parents[2] / "shared" / "cases"))
"""Where the cases are: small inputs that failed once, with a README; never part of this repository."""


@pytest.fixture
def case():
    """Return a function from a name in the folder of the cases to its path; skip where it is not."""

    def path(name):
        if not (TEST_CASES / name).exists():
            pytest.skip(f"no {TEST_CASES / name}; set DCH_TEST_CASES to the folder of the cases")
        return TEST_CASES / name

    return path


def pytest_collection_modifyitems(items):
    """Leave long proofs to ``make prove``, so that ``make test`` stays short."""
    if not os.environ.get("DCH_PROVE"):
        later = pytest.mark.skip(reason="a long proof; run it by: make prove")
        for item in items:
            if item.get_closest_marker("prove"):
                item.add_marker(later)
