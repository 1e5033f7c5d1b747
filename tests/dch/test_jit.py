"""The cache of compiled kernels follows the sources."""

from dch.jit import drop_stale


def make_package(folder):
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    (folder / "one.py").write_text("1")
    compiled = folder / "sub" / "__pycache__" / "two.kernel.nbc"
    compiled.write_text("machine code")
    return compiled


def test_a_changed_source_drops_every_compiled_kernel_and_an_unchanged_one_none(tmp_path):
    compiled = make_package(tmp_path)
    drop_stale(tmp_path)
    assert not compiled.exists()

    compiled.write_text("machine code")
    drop_stale(tmp_path)
    assert compiled.exists()

    (tmp_path / "one.py").write_text("22")
    drop_stale(tmp_path)
    assert not compiled.exists()
