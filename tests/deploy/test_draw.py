"""Pictures show each panel of a dashboard from the queries of the dashboard, and say who drew them."""

import importlib.util
import json
import sys

import pytest

from tests.deploy import expressions
from tests.deploy.prometheus_tools import ROOT

START, END = 1_700_000_000.0, 1_700_000_060.0


@pytest.fixture
def draw(monkeypatch):
    """The script as a module, with a Prometheus that answers every query with two series."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("draw", ROOT / "deploy" / "grafana" / "draw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = []

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self):
            values = [[START, "0.25"], [END, "0.5"]]
            series = [{"metric": {"cohort": name, "__name__": "x"}, "values": values} for name in ("a", "b")]
            return json.dumps({"data": {"result": series}})

    def urlopen(url, timeout):
        asked.append(module.urllib.parse.parse_qs(url.partition("?")[2])["query"][0])
        return Answer()

    monkeypatch.setattr(module.urllib.request, "urlopen", urlopen)
    module.asked = asked
    yield module
    module.plt.close("all")


def test_every_panel_is_drawn_from_its_queries(draw):
    page = next(one for one in draw.DASHBOARDS if one.uid == "dch-overview")
    figure = draw.draw(page, "http://nowhere", START, END)
    panels = [panel for _, panels in page.rows for panel in panels]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [panel.title for panel in panels]
    (file,) = [one for one in expressions.DASHBOARDS if one.stem == page.uid]
    shown = [target["expr"] for panel in expressions.panels(file) for target in panel["targets"]]
    assert [one.replace("'", '"') for one in draw.asked] == [expressions.plain(one) for one in shown]
    assert "not Grafana's screen" in figure.get_suptitle()


def test_lines_are_named_by_the_legend_and_run_over_the_time(draw):
    page = next(one for one in draw.DASHBOARDS if one.uid == "dch-overview")
    figure = draw.draw(page, "http://nowhere", START, END)
    axes = next(one for one in figure.axes if one.get_title(loc="left").startswith("Hit rate by cohort"))
    assert axes.get_legend_handles_labels()[1] == ["a  50%", "b  50%"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 1], [0, 1]]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.25, 0.5], [0.25, 0.5]]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.5, "percentunit", "50%"),
        (0.25, "s", "250 ms"),
        (0.0002, "s", "200 us"),
        (90.0, "s", "1.5 min"),
        (7200.0, "s", "2 h"),
        (0.0, "s", "0 s"),
        (3.0, "short", "3"),
        (1536.0, "bytes", "1.5 KiB"),
        (120.0, "reqps", "120/s"),
        (float("nan"), "s", "no data"),
    ],
)
def test_a_number_is_shown_in_its_unit(draw, value, unit, shown):
    assert draw.text(value, unit) == shown


def test_a_number_has_the_colour_of_its_limits(draw):
    rises = draw.Panel("a", "s", "", (), "stat", warn_at=1, alarm_at=5)
    falls = draw.Panel("b", "percentunit", "", (), "stat", warn_at=0.5, falls=True)
    assert [draw.color(rises, value) for value in (0.5, 1, 5)] == [draw.GOOD, draw.WARN, draw.ALARM]
    assert [draw.color(falls, value) for value in (0.4, 0.5)] == [draw.ALARM, draw.GOOD]


def series(draw, name, *values, last_minute=1.0):
    minutes = [last_minute * at / len(values) for at in range(1, len(values) + 1)]
    return draw.Series(name, {"instance": name, "generation": "3"}, minutes, list(values))


def test_a_legend_names_the_highest_series_with_their_last_values_and_counts_the_others(draw):
    axes = draw.plt.figure().add_subplot()
    panel = draw.Panel("a", "s", "", ())
    draw._draw_lines(axes, panel, [series(draw, f"n{at}", 10 * at, at) for at in range(1, 10)], 1)
    names = [one.get_text() for one in axes.get_legend().get_texts()]
    assert names == ["n5  5 s", "n6  6 s", "n7  7 s", "n8  8 s", "n9  9 s", "and 4 more"]


def test_lines_of_zeros_and_no_lines_at_all_have_a_scale(draw):
    panel = draw.Panel("a", "percentunit", "", ())
    for found in ([series(draw, "a", 0.0, 0.0)], []):
        axes = draw.plt.figure().add_subplot()
        draw._draw_lines(axes, panel, found, 1)
        assert axes.get_ylim() == (0, 0.1)


def test_a_table_has_a_column_for_each_label_and_only_series_that_go_on(draw):
    axes = draw.plt.figure().add_subplot()
    panel = draw.Panel("a", "short", "", (), "table", width=4)
    ended = series(draw, "ended", 1.0, last_minute=0.5)
    draw._draw_table(axes, panel, [ended, series(draw, "http://a-long-address:1234", 2.0)])
    header, line = axes.texts[0].get_text().splitlines()
    assert header.split() == ["instance", "generation", "value"]
    assert line.split() == ["..s:1234", "3", "2"]
