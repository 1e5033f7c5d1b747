"""Tables as text: Markdown for readers, CSV for programs. Figures are shortened in the first alone."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from dch.experiments.origin import Origin
from dch.experiments.reports.page import Cell, Spread, Table

Places = set[tuple[int, int]]
"""(row, column) of cells."""


def shown_rows(table: Table) -> list[list[str]]:
    """Return every cell as a reader sees it, nothing in bold."""
    return [[_shown(cell, table) for cell in row] for row in table.rows]


def markdown(table: Table) -> str:
    """Return the table with the best figures in bold; numbers are aligned to the right."""
    rows, bold = shown_rows(table), best_cells(table)
    lines = [_line(table.columns), _line([_rule(table, at) for at in range(len(table.columns))])]
    for place, row in enumerate(rows):
        cells = [f"**{text}**" if (place, at) in bold else text for at, text in enumerate(row)]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def csv_text(table: Table, origin: Origin) -> str:
    """Return the table with all digits; spreads take two columns, and each row says where it comes from."""
    wide = [any(isinstance(row[at], Spread) for row in table.rows) for at in range(len(table.columns))]
    header = [
        name for name, is_wide in zip(table.columns, wide, strict=True) for name in _names(name, is_wide)
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *asdict(origin)])
    for row in table.rows:
        cells = [value for cell, is_wide in zip(row, wide, strict=True) for value in _values(cell, is_wide)]
        writer.writerow([*cells, *asdict(origin).values()])
    return out.getvalue()


def best_cells(table: Table) -> Places:
    """Return where the highest figures are, as the table asks for; equals as shown are all the highest."""
    if table.best == "row":
        return _highest(
            table, [[(at, column) for column in _columns(table)] for at in range(len(table.rows))]
        )
    if table.best == "group":
        groups = groupby(range(len(table.rows)), key=lambda at: table.rows[at][0])
        rows = [list(group) for _, group in groups]
        return _highest(
            table, [[(at, column) for at in group] for group in rows for column in _columns(table)]
        )
    return set()


def _highest(table: Table, rivals: Sequence[Sequence[tuple[int, int]]]) -> Places:
    found: Places = set()
    for places in rivals:
        figures = {place: _figure(table.rows[place[0]][place[1]]) for place in places}
        real = {place: figure for place, figure in figures.items() if figure is not None}
        if len(real) > 1:
            most = round(max(real.values()), table.decimals)
            found |= {place for place, figure in real.items() if round(figure, table.decimals) == most}
    return found


def _columns(table: Table) -> range:
    return range(1, len(table.columns))


def _figure(cell: Cell) -> float | None:
    """Return what is compared; whole numbers are counts or names, not qualities."""
    if isinstance(cell, Spread):
        return cell.mean
    return cell if isinstance(cell, float) and cell == cell else None


def _shown(cell: Cell, table: Table) -> str:
    if cell is None or cell != cell:
        return "–"  # noqa: RUF001 - a dash for what is missing
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
