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


def test_a_changed_kernel_in_any_file_changes_the_folder(tmp_path):
    package = make_package(tmp_path)
    before = folder_for(package, "")
    assert folder_for(package, "") == before
    (package / "sub" / "one.py").write_text("@kernel\ndef one(): return 1")
    assert folder_for(package, "") != before


def test_a_changed_file_without_kernels_keeps_the_folder(tmp_path):
    package = make_package(tmp_path)
    before = folder_for(package, "")
    (package / "two.py").write_text("changed")
    assert folder_for(package, "") == before


def test_the_folder_is_beside_the_sources_or_in_the_cache_directory_of_the_user(tmp_path):
    package = make_package(tmp_path)
    assert Path(folder_for(package, "")).parent == package / "__pycache__"
    assert Path(folder_for(package, "/elsewhere")).parent == Path("/elsewhere")


def test_a_called_kernel_is_cached_in_the_folder_and_the_numba_setting_is_restored(tmp_path):
    code = (
        "import numba, numpy as np; from dch.models.running_sums import interpolate;"
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
