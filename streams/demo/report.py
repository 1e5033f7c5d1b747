"""What the demo prints: the newcomer's list as it changes, the hit rates, the summary."""

from collections.abc import Sequence

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from streams.demo.worker_metrics import Cohort, Reading

COHORT_NOTE = (
    "Trials: ratings from 4 stars up. New: unknown to the generation in service.\n"
    "New items compete with all that have hundreds of ratings: few make a top 20."
)

COHORT_NAMES = {
    "existing_user_existing_item": ("existing", "existing"),
    "existing_user_new_item": ("existing", "new"),
    "new_user_existing_item": ("new", "existing"),
    "new_user_new_item": ("new", "new"),
}


def newcomer_table(moments: Sequence[tuple[str, Sequence[str]]], n_shown: int) -> Table:
    """Show a line per moment: what was just rated, and the head of the list; what is new in it is green."""
    table = Table(title="The list of a brand-new user, after each rating", title_justify="left")
    table.add_column("5 stars for", max_width=24)
    table.add_column(f"first {n_shown} of the list (green: not there before)")
    before: Sequence[str] = moments[0][1][:n_shown] if moments else ()
    for heading, titles in moments:
        shown = [
            escape(title) if title in before else f"[green]{escape(title)}[/]" for title in titles[:n_shown]
        ]
        before = titles[:n_shown]
        table.add_row(escape(heading), " · ".join(shown))
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
