"""Write the pages of an experiment: a CSV and a Markdown file a table, a PNG a plot, and one index of all."""

from collections.abc import Sequence
from pathlib import Path

from dch.experiments.atomic_files import write_text
from dch.experiments.origin import Origin
from dch.experiments.plan import Plan
from dch.experiments.reports.draw import draw
from dch.experiments.reports.index_page import Section, index
from dch.experiments.reports.page import Page, Plot, Table
from dch.experiments.reports.text import csv_text, markdown


def write_all(
    plan: Plan, sections: Sequence[Section], origin: Origin, *, seconds: float, draws: bool = True
) -> None:
    """Write every page into the plan's folder, and ``README.md`` that shows them all.

    Args:
        plan: what the experiment works with.
        sections: the pages of each part.
        origin: where this run comes from: how to run it again.
        seconds: what all jobs took together.
        draws: plots too; without, those that are there stay as they are.

    Raises:
        MissingExtraError: there is a plot to draw and matplotlib is not installed; tables are written.
    """
    for section in sections:
        for page in section.pages:
            if isinstance(page, Table):
                write_table(plan.out, page, section.origin)
    write_text(plan.out / "README.md", index(plan, sections, origin, seconds))
    for section in sections:
        for page in section.pages:
            if draws and isinstance(page, Plot):
                draw(plan.out / f"{page.name}.png", page, section.origin)


def write_table(folder: Path, table: Table, origin: Origin) -> None:
    """Write one table as ``<name>.csv`` and ``<name>.md``."""
    write_text(folder / f"{table.name}.csv", csv_text(table, origin))
    note = f"\n{table.note}\n" if table.note else ""
    text = f"# {table.title}\n\n{markdown(table)}{note}\n{origin.sentence()}\n"
    write_text(folder / f"{table.name}.md", text)


def files_of(page: Page) -> list[str]:
    """Return the names of the files that a page is written to."""
    return [f"{page.name}.{ending}" for ending in (("csv", "md") if isinstance(page, Table) else ("png",))]
