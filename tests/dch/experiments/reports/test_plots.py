"""Every kind of panel is drawn without a warning, and the file states its origin."""

import struct
import zlib
from dataclasses import replace

import pytest

from dch.experiments.reports.page import Line, Panel, Plot
from dch.experiments.reports.plots import draw
from tests.dch.experiments.fake_part import ORIGIN

BITS = [8, 16, 32]
LINES = {"codes": Line(BITS, [0.1, 0.2, 0.3], [0.01] * 3), "reranked": Line(BITS, [0.2, 0.3, 0.4])}
MANY = {f"method {at}": Line([0, 1], [0.1, 0.2], [0.01, 0.02]) for at in range(11)}


@pytest.mark.parametrize(
    "panels",
    [
        [Panel("lines", "x", "y", LINES), Panel("alone", "x", "y", {"ms": LINES["codes"]}, log_x=True)],
        [Panel("from none", "ratings", "hit", {"a": Line([0, 1, 20], [0.1, 0.2, 0.3])}, log_x=True)],
        [Panel("bars", "", "NDCG@20", MANY, x_names=["ml-1m", "yelp"])],
        [Panel("nothing yet", "x", "y", {})],
    ],
    ids=["lines", "log from 0", "bars", "empty"],
)
def test_a_plot_is_a_png_of_readable_size_that_states_its_origin(tmp_path, panels):
    draw(tmp_path / "plot.png", Plot("plot", "A plot", panels), ORIGIN)
    content = (tmp_path / "plot.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 800
    assert height > 500
    assert b"abc123" in content or b"abc123" in b"".join(_inflated(content))
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_a_plot_is_drawn_again_only_if_it_changed(tmp_path):
    path, plot = tmp_path / "plot.png", Plot("plot", "A plot", [Panel("lines", "x", "y", LINES)])
    draw(path, plot, ORIGIN)
    first = path.stat().st_mtime_ns
    draw(path, plot, ORIGIN)
    assert path.stat().st_mtime_ns == first
    draw(path, replace(plot, title="Another plot"), ORIGIN)
    assert path.stat().st_mtime_ns > first


def _inflated(content):
    """Yield the texts of a PNG."""
    start = 8
    while start < len(content):
        size, kind = struct.unpack(">I4s", content[start : start + 8])
        data = content[start + 8 : start + 8 + size]
        if kind == b"iTXt":
            yield data
        elif kind == b"zTXt":
            yield zlib.decompress(data[data.index(b"\0") + 2 :])
        start += 12 + size
