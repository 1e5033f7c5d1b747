"""Offline evaluation through the code that serves: hold-out cases, a given split, prequential by time."""

from dch.evaluation.given import evaluate_given
from dch.evaluation.holdout import evaluate_holdout
from dch.evaluation.prequential import evaluate_prequential
from dch.evaluation.report import Report, Result, table_rows

__all__ = [
    "Report",
    "Result",
    "evaluate_given",
    "evaluate_holdout",
    "evaluate_prequential",
    "table_rows",
]
