"""Tables as text: Markdown, CSV with all digits, and a table for the terminal."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby

from rich import box
from rich.table import Table as RichTable

from dch.experiments.provenance import Origin
from dch.experiments.reports.page import Cell, Spread, Table, seeds_text

Position = tuple[int, int]
"""Row and column of a cell."""


def shown_rows(table: Table) -> list[list[str]]:
    """Return every cell as text, without bold."""
    return [[_shown(cell, table) for cell in row] for row in table.rows]


def markdown(table: Table) -> str:
    """Return the table as Markdown, with the best figures in bold and columns of numbers right-aligned."""
    table = _with_seeds(table)
    rows, bold = shown_rows(table), best_cells(table)
    lines = [_line(table.columns), _line([_rule(table, at) for at in range(len(table.columns))])]
    for number, row in enumerate(rows):
        cells = [f"**{text}**" if (number, at) in bold else text for at, text in enumerate(row)]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def csv_text(table: Table, origin: Origin) -> str:
    """Return the table as CSV with all digits; a spread takes two columns, and each row has its origin.

    Where rows have seeds of their own, these are the seeds of their origin.
    """
    origins = [replace(origin, seeds=seeds_text(seeds)) for seeds in table.seeds] or [origin] * len(
        table.rows
    )
    wide = [any(isinstance(row[at], Spread) for row in table.rows) for at in range(len(table.columns))]
    header = [
        name for name, is_wide in zip(table.columns, wide, strict=True) for name in _names(name, is_wide)
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *asdict(origin)])
    for row, of_row in zip(table.rows, origins, strict=True):
        cells = [value for cell, is_wide in zip(row, wide, strict=True) for value in _values(cell, is_wide)]
        writer.writerow([*cells, *asdict(of_row).values()])
    return out.getvalue()


def to_rich(table: Table) -> RichTable:
    """Return the table for a terminal, with the best figures in bold."""
    shown = RichTable(box=box.SIMPLE, pad_edge=False, title=table.title, title_justify="left")
    bold = best_cells(table)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for number, row in enumerate(shown_rows(table)):
        shown.add_row(*(f"[bold]{text}[/]" if (number, at) in bold else text for at, text in enumerate(row)))
    return shown


def best_cells(table: Table) -> set[Position]:
    """Return the positions of the highest figures (see ``Table.best``); figures that look equal tie."""
    if table.best == "row":
        return _highest(
            table, [[(at, column) for column in _columns(table)] for at in range(len(table.rows))]
        )
    if table.best == "group":
        compared = [at for at, row in enumerate(table.rows) if row[1] not in table.not_compared]
        rows = [list(group) for _, group in groupby(compared, key=lambda at: table.rows[at][0])]
        return _highest(
            table, [[(at, column) for at in group] for group in rows for column in _columns(table)]
        )
    return set()


def _with_seeds(table: Table) -> Table:
    """Return the table with the seeds of its rows, if they have their own, as a last column."""
    if not table.seeds:
        return table
    rows = [[*row, seeds_text(seeds) or None] for row, seeds in zip(table.rows, table.seeds, strict=True)]
    return replace(table, columns=[*table.columns, "seeds"], rows=rows, seeds=())


def _highest(table: Table, groups: Sequence[Sequence[Position]]) -> set[Position]:
    """Return the positions of the highest figures of each group that has at least two."""
    found: set[Position] = set()
    for group in groups:
        figures = {(row, column): _figure(table.rows[row][column]) for row, column in group}
        known = {position: figure for position, figure in figures.items() if figure is not None}
        if len(known) > 1:
            most = round(max(known.values()), table.decimals)
            found |= {position for position, figure in known.items() if round(figure, table.decimals) == most}
    return found


def _columns(table: Table) -> range:
    return range(1, len(table.columns))


def _figure(cell: Cell) -> float | None:
    """Return the figure to compare, or None; integers are counts or names and are not compared."""
    if isinstance(cell, Spread):
        return cell.mean
    return cell if isinstance(cell, float) and cell == cell else None


def _shown(cell: Cell, table: Table) -> str:
    if cell is None or cell != cell:
        return "–"  # noqa: RUF001 - a dash for a missing value
    if isinstance(cell, Spread):
        std = f" ± {_number(cell.std, table)}" if cell.std else ""
        return _number(cell.mean, table) + std
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return _number(cell, table)
    return f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|")


def _number(value: float, table: Table) -> str:
    if table.percent:
        return f"{100 * value:.{max(0, table.decimals - 2)}f}%"
    return f"{value:,.{table.decimals}f}"


def _rule(table: Table, column: int) -> str:
    cells = [row[column] for row in table.rows]
    return "---" if any(isinstance(cell, str) for cell in cells) else "---:"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _names(name: str, is_wide: bool) -> list[str]:
    return [name, f"{name} std"] if is_wide else [name]


def _values(cell: Cell, is_wide: bool) -> list[str | float | int | None]:
    if isinstance(cell, Spread):
        return [cell.mean, cell.std]
    return [cell, None] if is_wide else [cell]
