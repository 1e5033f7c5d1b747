"""The dashboards are those that build.py writes, and read what the code shows."""

import importlib.util
import json
import runpy

import pytest
import yaml

from tests.deploy.expressions import DASHBOARDS, is_counter, labels_of, panels, plain, rules, uses
from tests.deploy.prometheus_tools import ROOT, RULES

GRAFANA = ROOT / "deploy" / "grafana"
OVERVIEW = "dch-overview"
GROWING = {"rate", "increase", "irate"}
PANELS = [
    pytest.param(panel, id=f"{file.stem}: {panel['title']}") for file in DASHBOARDS for panel in panels(file)
]
QUERIES = [
    pytest.param(target["expr"], id=f"{file.stem}: {panel['title']} {target['refId']}")
    for file in DASHBOARDS
    for panel in panels(file)
    for target in panel["targets"]
] + [pytest.param(expression, id=name) for name, expression in rules()]


@pytest.mark.filterwarnings("ignore:Prefer using:DeprecationWarning")  # the newer schema needs Grafana 12
def test_the_dashboards_are_up_to_date():
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        pytest.skip("no grafana-foundation-sdk; run: pip install -c constraints.txt '.[dev]'")
    built = runpy.run_path(str(GRAFANA / "build.py"))["built"]()
    told = "dashboards are out of date; run: python deploy/grafana/build.py"
    assert {file.name: file.read_text() for file in DASHBOARDS} == built, told


def test_there_are_six_dashboards_with_fixed_uids():
    assert [json.loads(file.read_text())["uid"] for file in DASHBOARDS] == [file.stem for file in DASHBOARDS]
    titles = {json.loads(file.read_text())["title"] for file in DASHBOARDS}
    assert titles == {"Overview", "Cold start", "Serving", "Ingest", "Training", "Operations by role"}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_has_variables_annotations_and_links_and_is_read_only(file):
    found = json.loads(file.read_text())
    assert not found["editable"]
    assert [one["name"] for one in found["templating"]["list"]] == ["datasource", "prefix", "job", "instance"]
    assert found["templating"]["list"][0]["type"] == "datasource"
    assert all(one["current"]["value"] == ["$__all"] for one in found["templating"]["list"][1:])
    assert "dch_model_trained_timestamp_seconds" in found["annotations"]["list"][0]["expr"]
    assert found["links"][0]["tags"] == found["tags"]
    numbers = [one["id"] for one in found["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    "panel",
    [
        pytest.param(one, id=one["title"])
        for file in DASHBOARDS
        if file.stem == OVERVIEW
        for one in panels(file)
    ],
)
def test_a_panel_of_the_overview_links_to_its_details_with_the_same_time_and_variables(panel):
    (link,) = panel["links"]
    uid, _, query = link["url"].removeprefix("/d/").partition("?")
    details = {file.stem: json.loads(file.read_text()) for file in DASHBOARDS if file.stem != OVERVIEW}
    assert link["title"] == f"Details: {details[uid]['title']}"
    assert query == "${__url_time_range}&${__all_variables}"
    assert link["type"] == "link"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_link_leads_to_another_dashboard(file):
    for panel in panels(file):
        for link in panel.get("links", []):
            uid = link["url"].removeprefix("/d/").partition("?")[0]
            assert uid != file.stem
            assert uid in {one.stem for one in DASHBOARDS}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_no_two_panels_of_a_dashboard_overlap(file):
    taken = set()
    for panel in json.loads(file.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place.get("x", 0), place.get("x", 0) + place["w"])
            for y in range(place.get("y", 0), place.get("y", 0) + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    assert all(target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_number_is_the_last_one_there_is(panel):
    if panel["type"] == "stat":
        assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_table_has_no_column_that_says_nothing(panel):
    if panel["type"] == "table":
        (columns,) = panel["transformations"]
        hidden = columns["options"]["excludeByName"]
        is_always_1 = panel["fieldConfig"]["defaults"]["unit"] == "short"
        assert columns["id"] == "organize"
        assert hidden == {"Time": True, **({"Value": True} if is_always_1 else {})}


@pytest.mark.parametrize("expression", QUERIES)
def test_an_expression_reads_metrics_and_labels_that_exist(expression):
    for use in uses(expression):
        labels = labels_of(use.metric)
        assert labels is not None, f"no metric {use.metric}"
        assert use.labels <= labels, f"{use.metric} has {sorted(labels)}"


@pytest.mark.parametrize("expression", QUERIES)
def test_a_counter_is_read_only_as_its_growth(expression):
    for use in uses(expression):
        assert is_counter(use.metric) == bool(GROWING & set(use.functions)), plain(expression)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("dch_events_total", "counter"),
        ("rate(dch_consumer_lag_records[5m])", "counter"),
        ("rate(dch_nothing_total[5m])", "metric"),
        ("sum by (user) (dch_store_codes)", "label"),
        ("dch_store_codes{side='user'}", "label"),
    ],
)
def test_the_checks_find_faults(expression, fault):
    use = uses(expression)[0]
    labels = labels_of(use.metric)
    found = {
        "metric": labels is None,
        "label": labels is not None and not use.labels <= labels,
        "counter": labels is not None and is_counter(use.metric) != bool(GROWING & set(use.functions)),
    }
    assert [name for name, is_found in found.items() if is_found] == [fault]


def test_everything_is_provisioned_under_fixed_names():
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "dch.yml").read_text())
    assert source["apiVersion"] == provider["apiVersion"] == 1
    assert [one["uid"] for one in source["datasources"]] == ["dch-prometheus"]
    assert not source["datasources"][0]["editable"]
    assert not provider["providers"][0]["allowUiUpdates"]


def test_every_scraped_job_has_a_prefix():
    for job in yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"]:
        assert job["relabel_configs"][0]["target_label"] == "prefix"
