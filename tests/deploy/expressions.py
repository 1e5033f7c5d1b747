"""What an expression of PromQL reads: its metrics, with their labels and the functions around them."""

import json
import re
from dataclasses import dataclass

import promql_parser
import yaml

from streams import metrics, served_metrics  # noqa: F401 - they declare the metrics
from streams.metric_types import CATALOGUE
from tests.deploy.prometheus_tools import ROOT, RULES

DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
TARGET_LABELS = {"prefix", "job", "instance"}
OF_PROMETHEUS = {
    "up": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
    "scrape_duration_seconds": set(),
    "process_cpu_seconds_total": set(),
    "process_start_time_seconds": set(),
}
"""Metrics of Prometheus itself and of its client for Python, with their labels."""

VARIABLES = {"$__rate_interval": "20s", "$prefix": ".*", "$job": ".*", "$instance": ".*"}


@dataclass(frozen=True)
class Use:
    """One use of a metric."""

    metric: str
    labels: frozenset[str]
    functions: tuple[str, ...]
    """The functions around it, innermost last."""


def plain(expression):
    """Return an expression of a dashboard with values for its variables."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def uses(expression):
    return list(_walk(promql_parser.parse(plain(expression)), (), frozenset()))


def _walk(node, functions, labels):
    kind = type(node).__name__
    if kind == "VectorSelector":
        own = {one.name for one in node.matchers.matchers}
        yield Use(node.name, frozenset(labels | own), functions)
    elif kind == "MatrixSelector":
        yield from _walk(node.vector_selector, functions, labels)
    elif kind == "Call":
        for one in node.args:
            yield from _walk(one, (*functions, node.func.name), labels)
    elif kind == "AggregateExpr":
        by = set(node.modifier.labels) if node.modifier else set()
        yield from _walk(node.expr, functions, labels | by)
    elif kind == "BinaryExpr":
        for one in (node.lhs, node.rhs):
            yield from _walk(one, functions, labels)
    elif kind in {"ParenExpr", "UnaryExpr", "SubqueryExpr"}:
        yield from _walk(node.expr, functions, labels)


COMPARISONS = {"<", ">", "<=", ">=", "==", "!="}


def left_sides(expression):
    """Return the left side of every comparison of an alert, as an expression."""
    return [node.lhs.prettify() for node in _nodes(promql_parser.parse(expression)) if _is_comparison(node)]


def _is_comparison(node):
    return type(node).__name__ == "BinaryExpr" and str(node.op) in COMPARISONS


def _nodes(node):
    yield node
    for name in ("lhs", "rhs", "expr"):
        if (child := getattr(node, name, None)) is not None and not isinstance(child, str):
            yield from _nodes(child)


def rules():
    """Return (name, expression) of every recording rule and every alert."""
    return [
        (rule.get("record") or rule["alert"], rule["expr"])
        for file in ("recording.yml", "alerts.yml")
        for group in yaml.safe_load((RULES / file).read_text())["groups"]
        for rule in group["rules"]
    ]


RECORDED = {name: expression for name, expression in rules() if ":" in name}


def labels_of(metric):
    """Return the labels that a metric has, or None if there is no such metric."""
    if metric in OF_PROMETHEUS:
        return OF_PROMETHEUS[metric] | TARGET_LABELS
    if metric in RECORDED:
        return recorded_labels(metric)
    declared = CATALOGUE.get(metric) or CATALOGUE.get(re.sub(r"_(bucket|sum|count)$", "", metric))
    if declared is None or metric not in declared.series:
        return None
    return {*declared.labels, *TARGET_LABELS} | ({"le"} if metric.endswith("_bucket") else set())


def recorded_labels(name):
    """Return the labels of a recorded series: those of its aggregations."""
    found = [set(node.modifier.labels) for node in _all(promql_parser.parse(RECORDED[name])) if _groups(node)]
    inner = [labels_of(use.metric) for use in uses(RECORDED[name]) if ":" in use.metric]
    return set().union(*found, *inner)


def _groups(node):
    return type(node).__name__ == "AggregateExpr" and node.modifier is not None


def _all(node):
    yield node
    for one in [getattr(node, name, None) for name in ("lhs", "rhs", "expr")] + list(
        getattr(node, "args", [])
    ):
        if one is not None and not isinstance(one, str):
            yield from _all(one)


def is_counter(metric):
    """Tell whether a metric only grows, so that its value says nothing by itself."""
    if metric in OF_PROMETHEUS:
        return metric.endswith("_total")
    declared = CATALOGUE.get(metric) or CATALOGUE.get(re.sub(r"_(bucket|sum|count)$", "", metric))
    return declared is not None and declared.kind in {"counter", "histogram"}


def panels(file):
    """Return the panels of a dashboard, without rows."""
    return [one for one in json.loads(file.read_text())["panels"] if one["type"] != "row"]


def queries():
    """Return (name, expression) of all queries of panels, recording rules, and left sides of alerts."""
    shown = [
        (f"{file.stem}: {panel['title']}", plain(target["expr"]))
        for file in DASHBOARDS
        for panel in panels(file)
        for target in panel["targets"]
    ]
    recorded = [(name, name) for name, _ in rules() if ":" in name]
    alerts = [
        (name, left) for name, expression in rules() if ":" not in name for left in left_sides(expression)
    ]
    return shown + recorded + alerts
