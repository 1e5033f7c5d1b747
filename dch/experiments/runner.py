"""Run an experiment: every job that has no result yet; after each part, write the pages of all parts.

Failed jobs are reported; the rest still run. Finished jobs are cached, so an interrupted run resumes.
"""

import time
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from dch.errors import ConfigError, MissingExtraError
from dch.experiments.atomic_files import write_text
from dch.experiments.job import Job
from dch.experiments.job_progress import JobBar
from dch.experiments.job_store import FAILURES, LOCK, JobResult, JobStore
from dch.experiments.parts import Part
from dch.experiments.plan import Plan
from dch.experiments.provenance import Origin, joined
from dch.experiments.reports.page import Page
from dch.experiments.reports.plots import require_matplotlib
from dch.experiments.reports.results_folder import TITLE, Section, write_pages

IGNORED = f"""\
# Fitted models, reports of failed jobs, and the lock of the job store.
models/
{FAILURES}/
{LOCK}
"""


@dataclass
class Run:
    """The state of a run, updated as jobs finish."""

    results: dict[str, JobResult] = field(default_factory=dict)
    """By job name, including results of earlier runs."""

    n_new: int = 0
    """Number of jobs that this run finished."""

    failed: dict[str, str] = field(default_factory=dict)
    """Reason of each failure, by the name of the job, the part or the pages that failed."""

    sections: list[Section] = field(default_factory=list)
    """The pages of each part, as last written."""

    @property
    def pages(self) -> list[Page]:
        """The pages of all parts."""
        return [page for section in self.sections for page in section.pages]


def run_experiment(
    plan: Plan,
    parts: Mapping[str, Part],
    origin: Origin,
    *,
    only: Collection[str] | None = None,
    console: Console,
) -> Run:
    """Run the jobs that have no result yet and write the pages.

    Args:
        plan: data, seeds and settings.
        parts: by name, in the order in which they run and are shown.
        origin: where the results of this run come from.
        only: names or patterns of the jobs to run, see ``is_selected``; the pages still show the results of
            other jobs. None: all jobs.
        console: shows the progress.

    Raises:
        ConfigError: a name in ``only`` matches no job; README.md in the output folder was not written by an
            experiment; or the job store cannot be read.
    """
    _check_readme(plan.out)
    store, run = JobStore(plan.out), Run()
    _check_matplotlib(run, console)
    jobs = {name: _list_jobs(name, part, plan, run) for name, part in parts.items()}
    _check_selection(only or (), jobs)
    every = [job for of_part in jobs.values() for job in of_part]
    run.results = finished(plan, store, every)
    if not (plan.out / ".gitignore").exists():
        write_text(plan.out / ".gitignore", IGNORED)
    selected = [[job for job in of_part if is_selected(job.name, only)] for of_part in jobs.values()]
    with JobBar(console, [job.name for of_part in selected for job in of_part], run.results) as bar:
        for of_part in selected:
            n_before = run.n_new
            for job in of_part:
                if job.name not in run.results:
                    _run_job(job, plan, store, origin, run, bar)
            if run.n_new > n_before:
                _write_pages(plan, parts, origin, run)
    run.results = finished(plan, store, every)  # other processes may have added results
    _write_pages(plan, parts, origin, run)
    return run


def finished(plan: Plan, store: JobStore, jobs: Iterable[Job]) -> dict[str, JobResult]:
    """Return the stored results of these jobs, without those of other settings or data.

    Raises:
        ConfigError: the job store cannot be read.
    """
    stored = store.results()
    return {
        job.name: stored[job.name]
        for job in jobs
        if job.name in stored and stored[job.name].settings == job.settings(plan)
    }


def is_selected(job: str, only: Collection[str] | None) -> bool:
    """Tell whether a pattern matches a job's name or its first components.

    ``tables``, ``tables/yelp``, ``tables/*/dcf`` and ``*/1`` all match ``tables/yelp/dcf/1``.
    """
    return only is None or any(fnmatchcase(job, name) or fnmatchcase(job, f"{name}/*") for name in only)


def _check_readme(out: Path) -> None:
    """Refuse to overwrite a README.md that an experiment did not write."""
    path = out / "README.md"
    if path.is_file() and not path.read_text(errors="replace").startswith(TITLE):
        raise ConfigError(
            f"{path} was not written by an experiment and would be overwritten; choose another output folder"
        )


def _check_selection(only: Collection[str], jobs: Mapping[str, Sequence[Job]]) -> None:
    """Refuse a name that matches no job, unless its part has no jobs: its data set may be missing."""
    for name in only:
        part = name.partition("/")[0]
        near = [job.name for of, listed in jobs.items() if fnmatchcase(of, part) for job in listed]
        if near and not any(is_selected(job, [name]) for job in near):
            raise ConfigError(f"no job matches {name!r}; one of the jobs is {near[0]}")


def _check_matplotlib(run: Run, console: Console) -> None:
    try:
        require_matplotlib()
    except MissingExtraError as error:
        run.failed["plots"] = str(error)
        console.print(f"no plots: {error}", markup=False)


def _list_jobs(name: str, part: Part, plan: Plan, run: Run) -> Sequence[Job]:
    try:
        return part.jobs(plan)
    except Exception as error:  # noqa: BLE001 - a failure in one part must not stop the other parts
        run.failed[name] = _reason(error)
        return []


def _run_job(job: Job, plan: Plan, store: JobStore, origin: Origin, run: Run, bar: JobBar) -> None:
    bar.start(job.name)
    start = time.perf_counter()
    try:
        outcome = job.run()
        result = JobResult.of(outcome, time.perf_counter() - start, origin, job.settings(plan))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in one job, the rest still run
        path = store.put_failure(job.name, traceback.format_exc())
        run.failed[job.name] = f"{_reason(error)} (see {path})"
        bar.fail(job.name, _reason(error))
    else:
        store.put(job.name, result)  # not caught: without its results, running more jobs is useless
        run.n_new += 1
        run.results[job.name] = result
        bar.finish(job.name, result.seconds)


def _write_pages(plan: Plan, parts: Mapping[str, Part], origin: Origin, run: Run) -> None:
    run.sections = [_section(name, part, plan, run) for name, part in parts.items()]
    seconds = sum(result.seconds for result in run.results.values())
    write_pages(plan, run.sections, origin, seconds=seconds, with_plots="plots" not in run.failed)


def _section(name: str, part: Part, plan: Plan, run: Run) -> Section:
    """Return the pages of a part, made from the results of its own jobs."""
    own = {job: result for job, result in run.results.items() if job.startswith(f"{name}/")}
    origin = joined((result.origin for result in own.values()), _seeds(own))
    try:
        pages = part.pages({job: result.outcome for job, result in own.items()}, plan.seeds)
    except Exception as error:  # noqa: BLE001 - the results are saved; the other parts still have pages
        run.failed[f"pages of {name}"] = _reason(error)
        return Section(name, [], origin)
    run.failed.pop(f"pages of {name}", None)
    return Section(name, list(pages), origin)


def _seeds(jobs: Iterable[str]) -> list[int]:
    ends = {job.rpartition("/")[2] for job in jobs}
    return [int(end) for end in ends if end.isdigit()]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
