"""What the demo prints: the newcomer's list as it changes, the hit rates, the summary."""

from collections.abc import Sequence

from rich.panel import Panel
from rich.table import Table

from streams.demo.watch import Cohort, Reading

COHORT_NAMES = {
    "existing_user_existing_item": ("existing", "existing"),
    "existing_user_new_item": ("existing", "new"),
    "new_user_existing_item": ("new", "existing"),
    "new_user_new_item": ("new", "new"),
}


def newcomer_table(columns: Sequence[tuple[str, Sequence[str]]], n_rows: int) -> Table:
    """Show one column per moment: its heading and the titles then; titles new in the list are bright."""
    table = Table(title="What a brand-new user is offered", title_justify="left", padding=(0, 1))
    shown: list[Sequence[str]] = []
    for place, (heading, titles) in enumerate(columns):
        before = set(columns[place - 1][1]) if place else set(titles)
        table.add_column(heading, max_width=22, no_wrap=True, overflow="ellipsis")
        shown.append([title if title in before else f"[bold green]{title}" for title in titles[:n_rows]])
    for row in zip(*shown, strict=False):
        table.add_row(*row)
    return table


def cohort_table(reading: Reading) -> Table:
    """Show the prequential hit rate by cohort beside that of the popular list."""
    table = Table(title="Was the next liked item in the user's top 20, just before?", title_justify="left")
    for heading in ("user", "item"):
        table.add_column(heading)
    for heading in ("trials", "hit rate", "popularity", "ratio"):
        table.add_column(heading, justify="right")
    for cohort, names in COHORT_NAMES.items():
        table.add_row(*names, *_cells(reading.cohorts[cohort]))
    table.add_section()
    table.add_row("all", "all", *_cells(reading.total), style="bold")
    return table


def _cells(cohort: Cohort) -> tuple[str, str, str, str]:
    if not cohort.trials:
        return "0", "-", "-", "-"
    ours, theirs = cohort.hits / cohort.trials, cohort.popular_hits / cohort.trials
    ratio = f"{ours / theirs:.1f}x" if theirs else "-"
    return f"{cohort.trials:,}", f"{ours:.1%}", f"{theirs:.1%}", ratio


def summary(lines: Sequence[tuple[str, str]]) -> Panel:
    """Show what was done, a fact a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(name, value)
    return Panel(table, title="Summary", title_align="left")
