"""Evaluate offline with the code that serves: by hold-out, on a fixed split, or prequentially by time."""

from dch.evaluation.fixed_split import evaluate_fixed_split
from dch.evaluation.holdout import evaluate_holdout
from dch.evaluation.prequential_stream import evaluate_prequential
from dch.evaluation.report import Report, Result, legend, table_rows

__all__ = [
    "Report",
    "Result",
    "evaluate_fixed_split",
    "evaluate_holdout",
    "evaluate_prequential",
    "legend",
    "table_rows",
]
