"""The cache of compiled kernels follows the sources."""

import subprocess
import sys
from pathlib import Path

from dch.jit import PACKAGE, folder_for


def make_package(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "one.py").write_text("@kernel\ndef one(): ...")
    (folder / "two.py").write_text("pass")
    return folder


def test_a_changed_kernel_in_any_file_means_another_folder(tmp_path):
    package = make_package(tmp_path)
    before = folder_for(package, "")
    assert folder_for(package, "") == before
    (package / "sub" / "one.py").write_text("@kernel\ndef one(): return 1")
    assert folder_for(package, "") != before


def test_a_file_without_kernels_changes_nothing(tmp_path):
    package = make_package(tmp_path)
    before = folder_for(package, "")
    (package / "two.py").write_text("changed")
    assert folder_for(package, "") == before


def test_the_folder_is_beside_the_sources_or_where_the_user_wants_it(tmp_path):
    package = make_package(tmp_path)
    assert Path(folder_for(package, "")).parent == package / "__pycache__"
    assert Path(folder_for(package, "/elsewhere")).parent == Path("/elsewhere")


def test_a_kernel_that_was_called_is_in_the_folder_and_numba_is_left_as_it_was(tmp_path):
    code = (
        "import numba, numpy as np; from dch.models.sums import interpolate;"
        "interpolate(np.array([[1, 1]], np.float32), 1.0); print(repr(numba.config.CACHE_DIR))"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        env=environment,
    )
    assert done.stdout.strip() == repr(str(tmp_path))
    assert list(Path(folder_for(PACKAGE, str(tmp_path))).rglob("*interpolate*.nbc"))
