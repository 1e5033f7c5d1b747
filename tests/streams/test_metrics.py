"""The metrics that dashboards use exist under their documented names."""

import re

import pytest

from streams import metrics

DOCUMENTED = """
dch_events_total{topic,outcome} dch_event_to_visible_seconds dch_request_duration_seconds{strategy,outcome}
dch_requests_expired_total dch_dead_letters_total{topic,reason} dch_consumer_lag_records
dch_consumer_lag_seconds dch_store_codes{kind} dch_store_bytes dch_model_info{generation}
dch_model_trained_timestamp_seconds dch_model_swap_duration_seconds dch_refits_total{outcome}
dch_prequential_hits_total{cohort} dch_prequential_trials_total{cohort}
dch_prequential_popular_hits_total{cohort} dch_snapshot_timestamp_seconds dch_rebalances_total
"""

DECLARED = {
    metric._name + ("_total" if metric._type == "counter" else ""): metric
    for metric in vars(metrics).values()
    if hasattr(metric, "_labelnames")
}


@pytest.mark.parametrize("documented", DOCUMENTED.split())
def test_a_documented_metric_is_declared_with_its_labels(documented):
    name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})?", documented).groups()
    assert DECLARED[name]._labelnames == tuple(labels.split(",") if labels else ())


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_metric_follows_the_naming_rules(name):
    assert re.fullmatch(r"dch_[a-z_]+_(seconds|bytes|total|info|records|codes)", name)
    assert not {"user", "item", "user_id", "item_id"} & set(DECLARED[name]._labelnames)
