"""Build the dashboards of Grafana as JSON from pages/: python deploy/grafana/build.py.

Needs grafana-foundation-sdk==0.0.21: later and earlier releases write another schema.
"""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
)

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pages import DASHBOARDS
from panels import SELECTORS, Dashboard, Panel

FOLDER = Path(__file__).resolve().parent / "dashboards"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
VARIABLES = (
    ("prefix", "Prefix (tenant)", "label_values(dch_build_info, prefix)"),
    ("job", "Job (role)", "label_values(dch_build_info{prefix=~'$prefix'}, job)"),
    ("instance", "Instance", "label_values(dch_build_info{prefix=~'$prefix',job=~'$job'}, instance)"),
)
REFITS = (
    "max by (prefix) (changes(dch_model_trained_timestamp_seconds{prefix=~'$prefix',job='worker'}[1m])) > 0"
)
ABOVE = ""
"""Where links are shown. The SDK would hide them in a menu of newer releases of Grafana."""

WIDTH, STAT_HEIGHT, HEIGHT = 24, 4, 8


def full(expression: str) -> str:
    """Return an expression with its selectors."""
    for short, selectors in SELECTORS.items():
        expression = expression.replace(short, selectors)
    return expression.replace("'", '"')


def built() -> dict[str, str]:
    """Return the JSON of each dashboard by the name of its file."""
    return {
        f"{one.uid}.json": JSONEncoder(sort_keys=True, indent=2).encode(build(one)) + "\n"
        for one in DASHBOARDS
    }


def build(page: Dashboard) -> models.Dashboard:
    """Return one dashboard in Grafana's model."""
    found = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["dch-streams"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .annotation(_refits())
        .link(_link())
    )
    for name, label, query in VARIABLES:
        found = found.with_variable(_variable(name, label, query))
    numbers = count(1)
    for title, panels, top in _rows(page):
        place = models.GridPos(h=1, w=WIDTH, x=0, y=top)
        found = found.with_row(dashboard.Row(title).id(next(numbers)).grid_pos(place))
        left = 0
        for one in panels:
            place = models.GridPos(h=_height(one), w=one.width, x=left, y=top + 1)
            panel = _panel(one).id(next(numbers)).grid_pos(place)
            if one.detail not in ("", page.uid):
                panel = panel.links([_detail(one.detail)])
            found = found.with_panel(panel)
            left += one.width
    return found.build()


def _rows(page: Dashboard) -> Iterator[tuple[str, tuple[Panel, ...], int]]:
    """Yield each row with its top."""
    top = 0
    for title, panels in page.rows:
        yield title, panels, top
        top += 1 + max(map(_height, panels))


def _height(panel: Panel) -> int:
    return STAT_HEIGHT if panel.kind == "stat" else HEIGHT


def _panel(one: Panel) -> Any:  # noqa: ANN401 - the builders of the SDK share no class
    kinds = {"timeseries": timeseries.Panel, "stat": stat.Panel, "table": table.Panel}
    found = kinds[one.kind]().title(one.title).description(one.description).unit(one.unit).datasource(SOURCE)
    found = found.thresholds(_thresholds(one))
    if one.kind == "table":
        found = found.with_transformation(_columns(one))
    if one.kind == "stat":  # the last value may be missing, as the newest step is not over
        found = found.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if one.kind == "timeseries":
        found = found.legend(_legend()).min(0)
        if one.warn_at is not None:
            dashed = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
            found = found.thresholds_style(dashed)
    for at, (legend, expression) in enumerate(one.queries):
        query = (
            prometheus.Dataquery()
            .expr(full(expression))
            .legend_format(legend)
            .ref_id(chr(ord("A") + at))
            .datasource(SOURCE)
        )
        if one.kind == "table":
            query = query.instant().format("table")
        elif "_seconds_bucket" in expression:  # exemplars are on the buckets, not on recorded series
            query = query.exemplar(True)
        found = found.with_target(query)
    return found


def _columns(one: Panel) -> models.DataTransformerConfig:
    """Hide the time of the query, and a value that is always 1: such a series only has labels to say."""
    hidden = {"Time": True} | ({"Value": True} if one.unit == "short" else {})
    return models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})


def _legend() -> Any:  # noqa: ANN401
    legend = common.VizLegendOptions().show_legend(True)
    return legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)


def _thresholds(one: Panel) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(value=None, color="red" if one.falls else "green")]
    if one.warn_at is not None:
        steps.append(models.Threshold(value=one.warn_at, color="green" if one.falls else "orange"))
    if one.alarm_at is not None:
        steps.append(models.Threshold(value=one.alarm_at, color="red"))
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(full(query))
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _refits() -> dashboard.AnnotationQuery:
    """Mark the times at which a new model came into service."""
    return (
        dashboard.AnnotationQuery()
        .name("New model in service")
        .datasource(SOURCE)
        .expr(full(REFITS))
        .enable(True)
        .icon_color("blue")
    )


def _link() -> dashboard.DashboardLink:
    """Link to all dashboards of this service, with the same time and variables."""
    return (
        dashboard.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["dch-streams"])
        .include_vars(True)
        .keep_time(True)
        .placement(ABOVE)
    )


def _detail(uid: str) -> dashboard.DashboardLink:
    """Link a panel to the dashboard with its details, with the same time and variables."""
    title = next(one.title for one in DASHBOARDS if one.uid == uid)
    return (
        dashboard.DashboardLink(f"Details: {title}")
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}")
        .placement(ABOVE)
    )


if __name__ == "__main__":
    for name, text in built().items():
        (FOLDER / name).write_text(text)
