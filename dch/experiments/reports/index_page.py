"""The index of an experiment's folder: every table and plot, the protocol, and how to run it again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dch.experiments.job_bar import duration
from dch.experiments.jobs.table_protocol import PROTOCOL
from dch.experiments.origin import Origin
from dch.experiments.plan import Plan
from dch.experiments.reports.page import Page, Table
from dch.experiments.reports.text import markdown

TITLE = "# Results of the experiments"

HEADINGS = {
    "goals": "Goals",
    "tables": "The published tables",
    "length": "Code length",
    "cold": "Cold start",
    "drift": "Drift",
}

WORDS = """\
EUEI: existing users, existing items; NUEI: new users; EUNI: new items (EUNI-new: among themselves, EUNI-all:
among all items). Codes: lists by plain Hamming distance of 64 bits; reranked: the nearest 200 of them in the
order of ranking vectors. DCH-1: new ratings folded in through frozen towers; DCH-2: after a few update steps
besides. (rating): the objective is Equation 1 of the paper; (ranking): ours. Published: Li, Wang, Pan, Peng,
Yang, Cambria, Knowledge-Based Systems 172 (2019) 64-75, and its poster. The goals and the code length are
measured on the whole test part, the tables on half of it: their figures differ. More under
[the protocol](#the-protocol)."""

QUICK = """\
> **A quick run, to see that all of it works: little data, hardly any training. Its figures mean nothing.**"""

FILES = """\
Each table is here as `.csv` (all digits) and `.md`, each plot as `.png`. `jobs/` holds what every single job
found, with its command, commit, machine, date and seconds; `shared/` the settings that were chosen for the
compared methods; `models/`, not meant for committing, the fitted models."""

AGAIN = """\
    pip install -c constraints.txt '.[experiment]'
    {command}

The first line is for a clone in an environment of your own; after `make setup` it is not needed.

Jobs that have a file in `jobs/` with the same settings are not run again; delete the file, or the folder, to
have them run. `--data` names a folder that holds the folders of the data sets; `--quick` needs none."""


@dataclass(frozen=True)
class Section:
    """The pages of one part."""

    part: str
    pages: Sequence[Page]
    origin: Origin
    """Of its outcomes."""


def index(plan: Plan, sections: Sequence[Section], origin: Origin, seconds: float) -> str:
    """Return the text of ``README.md``.

    Args:
        plan: what the experiment works with.
        sections: the pages of each part; those without pages are left out.
        origin: where the last run comes from.
        seconds: what all jobs took together.
    """
    shown = [section for section in sections if section.pages]
    blocks = [TITLE, *([QUICK] if plan.quick else []), _head(plan, origin, seconds)]
    blocks += [WORDS, "\n".join(_entry(section) for section in shown)]
    for section in shown:
        blocks += [f"## {_heading(section)}", *map(_page, section.pages), f"_{section.origin.sentence()}_"]
    blocks += ["## The protocol", PROTOCOL, "## Files", FILES, "## Run it again"]
    blocks.append(AGAIN.format(command=_whole(origin.command)))
    return "\n\n".join(blocks) + "\n"


def _whole(command: str) -> str:
    """Return a command without what made it run a part alone."""
    words = shlex.split(command)
    if "--only" in words:
        at = words.index("--only")
        del words[at : at + 2]
    return shlex.join(word for word in words if not word.startswith("--only="))


def _head(plan: Plan, origin: Origin, seconds: float) -> str:
    data, seeds = ", ".join(plan.data), ", ".join(map(str, plan.seeds))
    return (
        f"Data sets: {data}. Seeds: {seeds}. All jobs took {duration(seconds)} together "
        f"on {origin.machine}. Last written {origin.date} by `{origin.command}`, commit {origin.commit}."
    )


def _entry(section: Section) -> str:
    heading = _heading(section)
    titles = "; ".join(page.title for page in section.pages)
    return f"- [{heading}](#{heading.lower().replace(' ', '-')}): {titles}"


def _heading(section: Section) -> str:
    return HEADINGS.get(section.part, section.part)


def _page(page: Page) -> str:
    shown = markdown(page) if isinstance(page, Table) else f"![{page.title}]({page.name}.png)\n"
    note = f"\n{page.note}\n" if page.note else ""
    return f"### {page.title}\n\n{shown}{note}".rstrip()
