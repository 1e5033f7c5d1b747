"""Write docs/metrics.md, the table of all metrics, from their declarations: python deploy/metrics_page.py."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import streams.metrics  # noqa: E402 - it declares the metrics
import streams.served_metrics  # noqa: E402, F401 - it declares those of the observer
from streams.metric_types import CATALOGUE, Declared  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"
HEAD = """# Metrics

What each role serves at `/metrics`: the metrics that it sets, and no others. This page is generated from
`streams/metrics.py` and `streams/served_metrics.py`; to write it again: `python deploy/metrics_page.py`. The
unit 1 is a number of things, or a share. Prometheus adds the labels `job` (the role), `instance` and `prefix`
(the tenant). Python's own metrics (`process_...`, `python_...`) are served, too.

| metric | labels | unit | set by | meaning | what a jump means |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(map(_row, sorted(CATALOGUE.values(), key=lambda one: one.name)))


def _row(one: Declared) -> str:
    labels = "; ".join(
        name + (": " + ", ".join(values) if values else "") for name, values in one.labels.items()
    )
    cells = (f"`{one.name}` ({one.kind})", labels, one.unit, ", ".join(one.roles), one.meaning, one.jump)
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
