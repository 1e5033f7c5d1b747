"""The output of the demo: the lists of the new user, the hit rates and the summary."""

from collections.abc import Sequence

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from streams.demo.role_metrics import CohortCounts, WorkerCounts

COHORT_NOTE = (
    "A trial is a rating from 4 stars up, looked up in the user's list before it is applied (prequential).\n"
    "Only a share of these ratings is tried, as a twentieth of a core allows, by the model in service then.\n"
    "New means: not in the training data of that model.\n"
    "New items rarely reach a top 20, because they compete with items that have hundreds of ratings."
)

COHORT_NAMES = {
    "existing_user_existing_item": ("existing", "existing"),
    "existing_user_new_item": ("existing", "new"),
    "new_user_existing_item": ("new", "existing"),
    "new_user_new_item": ("new", "new"),
}


def newcomer_table(lists: Sequence[tuple[str, Sequence[str]]], n_shown: int) -> Table:
    """Show the head of the list after each rating, with new entries in green."""
    table = Table(title="Recommendations for the new user after each rating", title_justify="left")
    table.add_column("rated 5 stars", max_width=24)
    table.add_column(f"top {n_shown} (green: new in the list)")
    before: Sequence[str] = lists[0][1][:n_shown] if lists else ()
    for rated, titles in lists:
        shown = [
            escape(title) if title in before else f"[green]{escape(title)}[/]" for title in titles[:n_shown]
        ]
        before = titles[:n_shown]
        table.add_row(escape(rated), " · ".join(shown))
    return table


def cohort_table(counts: WorkerCounts) -> Table:
    """Show the prequential hit rate of each cohort beside that of the popular list."""
    table = Table(title="Was the item in the user's top 20 just before the rating?", title_justify="left")
    for heading in ("user", "item"):
        table.add_column(heading)
    for heading in ("trials", "hit rate", "popularity", "ratio"):
        table.add_column(heading, justify="right")
    for cohort, names in COHORT_NAMES.items():
        table.add_row(*names, *_cells(counts.cohorts[cohort]))
    table.add_section()
    table.add_row("all", "all", *_cells(counts.total), style="bold")
    return table


def _cells(cohort: CohortCounts) -> tuple[str, str, str, str]:
    if not cohort.trials:
        return "0", "-", "-", "-"
    hit_rate, baseline = cohort.hits / cohort.trials, cohort.popular_hits / cohort.trials
    ratio = f"{hit_rate / baseline:.1f}x" if baseline else "-"
    return f"{cohort.trials:,}", f"{hit_rate:.1%}", f"{baseline:.1%}", ratio


def summary(lines: Sequence[tuple[str, str]]) -> Panel:
    """Show the results of the demo, one per line."""
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(name, value)
    return Panel(table, title="Summary", title_align="left")
