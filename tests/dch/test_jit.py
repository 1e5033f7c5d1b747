"""The cache of compiled kernels follows the sources."""

import os
import subprocess
import sys

import pytest

from dch.jit import PACKAGE, folder_for

USE_A_KERNEL = (
    "import numba, numpy as np; from dch.models.running_sums import interpolate;"
    "interpolate(np.array([[1, 1]], np.float32), 1.0); print(repr(numba.config.CACHE_DIR))"
)


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "one.py").write_text("@kernel\ndef one(): return LIMIT")
    (folder / "limits.py").write_text("LIMIT = 256")
    return folder


@pytest.mark.parametrize("changed", ["sub/one.py", "limits.py"])
def test_a_changed_kernel_or_constant_in_any_file_means_another_folder(package, tmp_path, changed):
    before = folder_for(package, [tmp_path])
    assert folder_for(package, [tmp_path]) == before
    (package / changed).write_text("LIMIT = 512")
    assert folder_for(package, [tmp_path]) != before


def test_the_first_folder_that_can_be_written_to_is_taken(package, tmp_path):
    (tmp_path / "a file").write_text("")
    assert folder_for(package, [tmp_path / "a file", tmp_path / "b"]).parent == tmp_path / "b"
    assert folder_for(package, [tmp_path / "a file"]) is None


def run(environment):
    return subprocess.run(
        [sys.executable, "-c", USE_A_KERNEL],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        env={"PATH": os.environ.get("PATH", ""), **environment},
    )


def test_a_kernel_that_was_called_is_in_the_folder_and_numba_is_left_as_it_was(tmp_path):
    done = run({"NUMBA_CACHE_DIR": str(tmp_path)})
    assert done.stdout.strip() == repr(str(tmp_path))
    assert list(folder_for(PACKAGE, [tmp_path]).rglob("*interpolate*.nbc"))


def test_kernels_run_without_a_folder_for_the_cache(tmp_path):
    (tmp_path / "a file").write_text("")
    done = run({"NUMBA_CACHE_DIR": str(tmp_path / "a file" / "below")})
    assert "each start compiles them again" in done.stderr


NUMBER_OF_A_FUNCTION = (
    "import dch.jit; from numba.core.bytecode import FunctionIdentity;"
    "print(FunctionIdentity.from_function(lambda: 0).unique_id)"
)


def test_no_two_processes_give_two_functions_one_number():
    """Otherwise kernels of two processes can have one name, and whoever loads both from the cache crashes."""
    ran = [
        subprocess.run([sys.executable, "-c", NUMBER_OF_A_FUNCTION], capture_output=True, check=True)
        for _ in range(2)
    ]
    first, second = (int(one.stdout) for one in ran)
    assert first != second
    assert min(first, second) > 2**40  # drawn, not counted
