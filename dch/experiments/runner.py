"""Run an experiment: every job that has no record yet, and after each part the pages of all parts.

A job that fails is reported and the others go on. A run that is cut goes on where it was.
"""

import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from dch.errors import ConfigError, MissingExtraError
from dch.experiments.atomic_files import write_text
from dch.experiments.job import Job, Part
from dch.experiments.job_bar import JobBar
from dch.experiments.job_store import Record, Records
from dch.experiments.origin import Origin, joined
from dch.experiments.plan import Plan
from dch.experiments.reports.draw import require_matplotlib
from dch.experiments.reports.index_page import TITLE, Section
from dch.experiments.reports.page import Page
from dch.experiments.reports.write import write_all

IGNORED = "# Fitted models, kept for the next run, and how jobs failed.\nmodels/\nfailed/\n"


@dataclass
class Run:
    """What a run has come to; filled as it goes."""

    records: dict[str, Record] = field(default_factory=dict)
    """By job name, those of earlier runs too."""

    n_new: int = 0
    """Jobs that this run did."""

    failed: dict[str, str] = field(default_factory=dict)
    """What went wrong, by job name, or by what it was that is no job."""

    sections: list[Section] = field(default_factory=list)
    """The pages of each part, as last written."""

    @property
    def pages(self) -> list[Page]:
        """Everything that there is to show."""
        return [page for section in self.sections for page in section.pages]


def run_experiment(
    plan: Plan,
    parts: Mapping[str, Part],
    origin: Origin,
    *,
    only: Collection[str] | None = None,
    console: Console,
) -> Run:
    """Run what was not run yet and write the pages.

    Args:
        plan: what to work with.
        parts: by name, in the order in which they run and are shown.
        origin: where this run comes from.
        only: the jobs to run, as ``is_asked`` reads it; of the others what is there is shown. None for all.
        console: where progress is shown.

    Raises:
        ConfigError: a name in ``only`` is nobody's, or the folder has a README.md of something else.
    """
    _check_folder(plan.out)
    run, records = Run(), Records(plan)
    _check_drawing(run, console)
    jobs = {name: _listed(name, part, plan, run) for name, part in parts.items()}
    _check_names(only or (), jobs)
    if not (plan.out / ".gitignore").exists():
        write_text(plan.out / ".gitignore", IGNORED)
    every = [job for of_part in jobs.values() for job in of_part]
    run.records |= {job.name: record for job in every if (record := records.read(job))}
    asked = [[job for job in of_part if is_asked(job.name, only)] for of_part in jobs.values()]
    with JobBar(console, [job.name for of_part in asked for job in of_part], run.records) as bar:
        for of_part in asked:
            n_before = run.n_new
            for job in of_part:
                if job.name not in run.records:
                    _do(job, records, origin, run, bar)
            if run.n_new > n_before:
                _write_pages(plan, parts, origin, run)
    _write_pages(plan, parts, origin, run)
    return run


def is_asked(job: str, only: Collection[str] | None) -> bool:
    """Say whether a job is named: by its part, by the first words of its name, or by either with wildcards.

    ``tables``, ``tables/yelp``, ``tables/*/dcf`` and ``*/1`` all name ``tables/yelp/dcf/1``.
    """
    return only is None or any(fnmatchcase(job, name) or fnmatchcase(job, f"{name}/*") for name in only)


def _check_folder(out: Path) -> None:
    """Refuse to write over somebody's README.md."""
    path = out / "README.md"
    if path.is_file() and not path.read_text(errors="replace").startswith(TITLE):
        raise ConfigError(
            f"{path} is not of an experiment, and would be overwritten; give a folder of its own"
        )


def _check_names(only: Collection[str], jobs: Mapping[str, Sequence[Job]]) -> None:
    """Refuse a name within a part that has jobs, none of them so named; a part may lack its data set."""
    for name in only:
        part = name.partition("/")[0]
        near = [job.name for of, listed in jobs.items() if fnmatchcase(of, part) for job in listed]
        if near and not any(is_asked(job, [name]) for job in near):
            raise ConfigError(f"no job is named {name!r}; there is, for example, {near[0]}")


def _check_drawing(run: Run, console: Console) -> None:
    try:
        require_matplotlib()
    except MissingExtraError as error:
        run.failed["plots"] = str(error)
        console.print(f"no plots: {error}", markup=False)


def _listed(name: str, part: Part, plan: Plan, run: Run) -> Sequence[Job]:
    try:
        return part.jobs(plan)
    except Exception as error:  # noqa: BLE001 - a part that cannot start must not cost the others a night
        run.failed[name] = _reason(error)
        return []


def _do(job: Job, records: Records, origin: Origin, run: Run, bar: JobBar) -> None:
    bar.start(job.name)
    start = time.perf_counter()
    try:
        outcome = job.run()
        record = records.write(job, outcome, time.perf_counter() - start, origin)
    except Exception as error:  # noqa: BLE001 - whatever one job does wrong, the others go on
        path = records.write_failure(job.name, traceback.format_exc())
        run.failed[job.name] = f"{_reason(error)} (see {path})"
        bar.fail(job.name, _reason(error))
    else:
        run.n_new += 1
        run.records[job.name] = record
        bar.finish(job.name, record.seconds)


def _write_pages(plan: Plan, parts: Mapping[str, Part], origin: Origin, run: Run) -> None:
    run.sections = [_section(name, part, run) for name, part in parts.items()]
    draws = "plots" not in run.failed
    seconds = sum(record.seconds for record in run.records.values())
    write_all(plan, run.sections, origin, seconds=seconds, draws=draws)


def _section(name: str, part: Part, run: Run) -> Section:
    """Return the pages of a part, from its own records."""
    own = {job: record for job, record in run.records.items() if job.startswith(f"{name}/")}
    made = joined((record.origin for record in own.values()), _seeds(own))
    try:
        pages = part.pages({job: record.outcome for job, record in own.items()})
    except Exception as error:  # noqa: BLE001 - outcomes are safe on disk; the other parts are still shown
        run.failed[f"pages of {name}"] = _reason(error)
        return Section(name, [], made)
    run.failed.pop(f"pages of {name}", None)
    return Section(name, list(pages), made)


def _seeds(jobs: Mapping[str, Record]) -> list[int]:
    ends = {job.rpartition("/")[2] for job in jobs}
    return [int(end) for end in ends if end.isdigit()]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
