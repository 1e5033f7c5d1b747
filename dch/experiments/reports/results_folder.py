"""Write the output folder: a CSV and a Markdown file per table, a PNG per plot, and README.md with all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dch.experiments.atomic_files import write_text
from dch.experiments.job_progress import duration
from dch.experiments.jobs.table_protocol import PROTOCOL
from dch.experiments.plan import Plan
from dch.experiments.provenance import Origin, without_only
from dch.experiments.reports.page import Page, Plot, Table, seeds_text
from dch.experiments.reports.plots import draw
from dch.experiments.reports.table_text import csv_text, markdown

TITLE = "# Results of the experiments"

HEADINGS = {
    "goals": "Goals",
    "tables": "The published tables",
    "length": "Code length",
    "cold": "Cold start",
    "drift": "Drift",
}

TERMS = """\
EUEI: existing users, existing items. NUEI: new users, existing items. EUNI: existing users, new items
(EUNI-new: ranked among themselves; EUNI-all: ranked among all items). Codes: lists by plain Hamming
distance of 64 bits. Reranked: the nearest 200 items, reordered by ranking vectors. DCH-1 folds new ratings
in through frozen towers; DCH-2 first takes a few update steps on them. (rating): the objective is Equation
1 of the paper. (ranking): the objective is ours. Published: Li, Wang, Pan, Peng, Yang, Cambria,
Knowledge-Based Systems 172 (2019) 64-75, and its poster. The goals and the code length are measured on the
whole test part and the tables on half of it, so their figures differ. A figure without ± was measured
with one seed. Details are in [the protocol](#the-protocol)."""

QUICK = """\
> **A quick run on little data with hardly any training, to check that every job runs.**
> **Its figures mean nothing.**"""

FILES = """\
Each table is a `.csv` file with all digits and a `.md` file; each plot is a `.png` file. `jobs.json.gz`
holds the result of every job with its command, commit, machine, date and seconds, and the settings that
were tuned for the baselines, with every setting that was tried. `models/` holds the fitted models; do not
commit it."""

RERUN = """\
    pip install -c constraints.txt '.[experiment]'
    {command}

The first line installs a clone into your own environment; after `make setup` it is not needed.

A job is not run again if `jobs.json.gz` has its result for the same data and settings. To run all jobs again,
delete that file. `--data` names the folder with the folders of the data sets; `--quick` needs none."""


@dataclass(frozen=True)
class Section:
    """The pages of one part."""

    part: str
    pages: Sequence[Page]
    origin: Origin
    """Where the outcomes of the part come from."""


def write_pages(
    plan: Plan, sections: Sequence[Section], origin: Origin, *, seconds: float, with_plots: bool = True
) -> None:
    """Write every page into the output folder, and a ``README.md`` that shows them all.

    Args:
        plan: data, seeds and settings.
        sections: the pages of each part.
        origin: where the last run comes from.
        seconds: total time of all jobs.
        with_plots: draw the plots; if not, existing plots stay as they are.

    Raises:
        MissingExtraError: a plot is to be drawn and matplotlib is not installed; all tables are written.
    """
    pages = [(page, section.origin) for section in sections for page in section.pages]
    for page, made in pages:
        if isinstance(page, Table):
            write_table(plan.out, page, made)
    write_text(plan.out / "README.md", index(plan, sections, origin, seconds))
    for page, made in pages:
        if with_plots and isinstance(page, Plot):
            draw(plan.out / f"{page.name}.png", page, _origin(page, made))


def write_table(folder: Path, table: Table, origin: Origin) -> None:
    """Write one table as ``<name>.csv`` and ``<name>.md``."""
    write_text(folder / f"{table.name}.csv", csv_text(table, origin))
    note = f"\n{table.note}\n" if table.note else ""
    text = f"# {table.title}\n\n{markdown(table)}{note}\n{_origin(table, origin).sentence()}\n"
    write_text(folder / f"{table.name}.md", text)


def index(plan: Plan, sections: Sequence[Section], origin: Origin, seconds: float) -> str:
    """Return the text of ``README.md``.

    Args:
        plan: data, seeds and settings.
        sections: the pages of each part; sections without pages are left out.
        origin: where the last run comes from.
        seconds: total time of all jobs.
    """
    shown = [section for section in sections if section.pages]
    blocks = [TITLE, *([QUICK] if plan.quick else []), _head(plan, origin, seconds)]
    blocks += [TERMS, "\n".join(_entry(section) for section in shown)]
    for section in shown:
        made = section.origin
        if any(page.seeds for page in section.pages):  # each page says its own
            made = replace(made, seeds="")
        blocks += [f"## {_heading(section)}", *_page_texts(section.pages), f"_{made.sentence()}_"]
    blocks += ["## The protocol", PROTOCOL, "## Files", FILES, "## Run it again"]
    blocks.append(RERUN.format(command=without_only(origin.command)))
    return "\n\n".join(blocks) + "\n"


def _origin(page: Page, made: Origin) -> Origin:
    """Return the origin of a page: with its seeds, or without any if each of its rows says them."""
    if isinstance(page, Plot):
        return replace(made, seeds=seeds_text(page.seeds)) if page.seeds else made
    return replace(made, seeds="") if page.seeds else made


def _head(plan: Plan, origin: Origin, seconds: float) -> str:
    data, seeds = ", ".join(plan.data), ", ".join(map(str, plan.seeds))
    return (
        f"Data sets: {data}. Seeds: {seeds}. All jobs together took {duration(seconds)} on {origin.machine}. "
        f"Last written on {origin.date} by `{without_only(origin.command)}` at commit {origin.commit}."
    )


def _entry(section: Section) -> str:
    heading = _heading(section)
    titles = "; ".join(page.title for page in section.pages)
    return f"- [{heading}](#{heading.lower().replace(' ', '-')}): {titles}"


def _heading(section: Section) -> str:
    return HEADINGS.get(section.part, section.part)


def _page_texts(pages: Sequence[Page]) -> Iterator[str]:
    """Yield each page as Markdown, without a note that an earlier page has shown."""
    notes = ""
    for page in pages:
        shown = markdown(page) if isinstance(page, Table) else f"![{page.title}]({page.name}.png)\n"
        note = "" if page.note in notes else f"\n{page.note}\n"
        notes += f"{page.note}\n"
        yield f"### {page.title}\n\n{shown}{note}".rstrip()
