"""Tables on a terminal."""

from rich import box
from rich.table import Table as RichTable

from dch.experiments.reports.page import Table
from dch.experiments.reports.text import best_cells, shown_rows


def to_rich(table: Table) -> RichTable:
    """Return a table for a terminal, the best figures in bold."""
    shown, bold = (
        RichTable(box=box.SIMPLE, pad_edge=False, title=table.title, title_justify="left"),
        best_cells(table),
    )
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for place, row in enumerate(shown_rows(table)):
        shown.add_row(*(f"[bold]{text}[/]" if (place, at) in bold else text for at, text in enumerate(row)))
    return shown
