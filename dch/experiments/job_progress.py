"""Progress over jobs: a bar on a terminal, a line for each job, and the estimated time left."""

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dch.experiments.job_store import JobResult

FIRST_GUESS_S = 30.0
"""Estimated seconds of a job while no job has finished."""


class JobBar:
    """Shows the progress of a run."""

    def __init__(self, console: Console, jobs: Sequence[str], done: Mapping[str, JobResult]) -> None:
        self._left = [job for job in jobs if job not in done]
        self._seconds = {job: result.seconds for job, result in done.items()}
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        n_done = len(jobs) - len(self._left)
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("", total=len(jobs), completed=n_done)
        if n_done:
            console.print(f"{n_done} of {len(jobs)} jobs are already done", highlight=False)

    def __enter__(self) -> "JobBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, job: str) -> None:
        """Show that a job starts."""
        left = duration(seconds_left(self._left, self._seconds))
        self._progress.update(self._task, description=f"{job}, about {left} left")

    def finish(self, job: str, seconds: float) -> None:
        """Show that a job has finished."""
        self._seconds[job] = seconds
        self._next(job, f"{job}  {duration(seconds)}")

    def fail(self, job: str, reason: str) -> None:
        """Show that a job has failed."""
        self._next(job, f"{job}  failed: {reason}")

    def _next(self, job: str, line: str) -> None:
        self._left.remove(job)
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._progress.update(self._task, advance=1, description="")


def seconds_left(left: Sequence[str], done: Mapping[str, float]) -> float:
    """Estimate the seconds of the remaining jobs from the same jobs with other seeds, or from all jobs.

    Args:
        left: names of the remaining jobs.
        done: seconds of the finished jobs by name.
    """
    alike: dict[str, list[float]] = {}
    for name, seconds in done.items():
        alike.setdefault(name.rpartition("/")[0], []).append(seconds)
    usual = _mean(list(done.values())) if done else FIRST_GUESS_S
    guesses = [alike.get(name.rpartition("/")[0]) for name in left]
    return sum(_mean(guess) if guess else usual for guess in guesses)


def duration(seconds: float) -> str:
    """Return a time as text, such as ``2 h 5 min``, ``3 min`` or ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
