"""Metrics exist under their documented names, and the page of metrics is up to date."""

import re
import runpy
from pathlib import Path

import pytest

from dch.state.prequential import COHORTS
from streams import metrics, served_metrics, topics
from streams.metric_types import CATALOGUE, OfRole, show_zeros
from streams.trainer import gate

ROOT = Path(__file__).resolve().parents[2]

DOCUMENTED = """
dch_events_total{topic,outcome} dch_event_to_visible_seconds dch_request_duration_seconds{strategy,outcome}
dch_requests_expired_total dch_dead_letters_total{topic,reason} dch_consumer_lag_records{topic,partition}
dch_consumer_lag_seconds{topic,partition} dch_store_codes{kind} dch_store_bytes{kind}
dch_model_info{generation,generation_hash,location} dch_trainer_active
dch_model_trained_timestamp_seconds dch_model_swap_duration_seconds dch_refits_total{outcome}
dch_prequential_hits_total{cohort} dch_prequential_trials_total{cohort}
dch_prequential_popular_hits_total{cohort} dch_prequential_share_ratio
dch_snapshot_timestamp_seconds dch_rebalances_total
dch_served_lists_total{strategy,cohort,arm} dch_served_items_total{strategy,cohort,arm}
dch_served_hits_total{strategy,cohort,arm,within} dch_served_ratings_total{liked}
dch_served_window_lists{window,strategy,cohort,arm}
dch_served_window_hits{window,strategy,cohort,arm,within}
dch_served_coverage_ratio{window,strategy,cohort} dch_served_gini_ratio{window,strategy,cohort}
dch_served_generation_lists{generation,arm} dch_served_generation_hits{generation,arm,within}
"""


@pytest.mark.parametrize("documented", DOCUMENTED.split())
def test_a_documented_metric_is_declared_with_its_labels(documented):
    name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})?", documented).groups()
    assert list(CATALOGUE[name].labels) == (labels.split(",") if labels else [])


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_declared_metric_follows_the_naming_rules(name):
    units = "seconds|bytes|records|ratings|codes|lists|items|hits|ratio|total|info|ready|active"
    assert re.fullmatch(rf"dch_([a-z_]+_)?({units})", name)
    assert name.endswith("_total") == (CATALOGUE[name].kind == "counter")
    assert not {"user", "item", "user_id", "item_id"} & CATALOGUE[name].labels.keys()
    assert CATALOGUE[name].meaning.endswith(".")
    assert CATALOGUE[name].jump.endswith(".")


def test_no_counter_is_labelled_by_what_comes_and_goes_for_ever():
    """Its series could not be removed without breaking ``rate``, so a scrape would grow for ever."""
    for declared in CATALOGUE.values():
        if {"generation", "generation_hash", "location"} & declared.labels.keys():
            assert declared.kind == "gauge", declared.name


def test_every_metric_of_the_modules_is_declared_with_its_jump():
    modules = vars(metrics) | vars(served_metrics)
    collectors = [found for name, found in modules.items() if name.isupper() and hasattr(found, "collect")]
    names = {family.name for found in collectors for family in found.collect()}
    assert names == {name.removesuffix("_total") for name in CATALOGUE}


def test_the_page_of_metrics_is_up_to_date():
    page = runpy.run_path(str(ROOT / "deploy" / "metrics_page.py"))["page"]
    told = "docs/metrics.md is out of date; run: python deploy/metrics_page.py"
    assert (ROOT / "docs" / "metrics.md").read_text() == page(), told


def test_the_values_of_labels_are_those_of_the_code():
    sources = "".join(path.read_text() for path in (ROOT / "streams").rglob("*.py"))
    assert {"field", *re.findall(r'\breason="(\w+)"', sources)} == set(metrics.REASONS)
    assert metrics.COHORTS == COHORTS
    assert {*metrics.OUTCOMES} == {gate.PUBLISHED, gate.REJECTED, gate.UNMEASURED, gate.FAILED}
    assert {*metrics.INPUTS} == {topic.name for topic in topics.TOPICS if topic.has_dead_letters}


def test_counters_of_a_role_begin_at_zero_so_that_their_first_increment_counts():
    show_zeros("trainer")
    values = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.REFITS.collect()
        for sample in family.samples
    }
    assert values.keys() == {(outcome,) for outcome in metrics.OUTCOMES}


def test_a_role_begins_with_the_label_values_that_it_has():
    metrics.EVENTS.clear()
    show_zeros("observer", {"topic": ["served"], "outcome": ["applied", "dead_letter"]})
    found = {
        tuple(sample.labels.values()) for family in metrics.EVENTS.collect() for sample in family.samples
    }
    assert found == {("served", "applied"), ("served", "dead_letter")}


@pytest.mark.parametrize("role", ["worker", "trainer", "observer"])
def test_a_role_shows_the_metrics_that_are_declared_for_it_and_those_of_the_process(role):
    shown = {family.name for family in OfRole(role).collect()}
    declared = {name.removesuffix("_total") for name, one in CATALOGUE.items() if role in one.roles}
    assert declared == {name for name in shown if name.startswith("dch_")}
    assert "process_cpu_seconds" in shown
