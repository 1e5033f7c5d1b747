"""Publish ratings behind a progress bar, and wait until the service has done with them what it should."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dch import Ratings
from streams.demo.cluster import DemoCluster
from streams.demo.processes import DemoError
from streams.demo.role_metrics import WorkerCounts, read_refits, read_worker
from streams.kafka import Producer
from streams.publish import Pace, publish_ratings

LIVE_S = 50.0
"""Duration of the live stream in seconds: on an idle machine the whole demo takes less than three minutes."""

MIN_RATE = 200.0
"""Slowest live stream, in ratings a second: a small file takes less than ``LIVE_S``."""

REFIT_PATIENCE_S = 24 * 3600.0
"""Seconds to wait for a refit: nothing changes while it runs. One that breaks off is counted as failed."""

BAR_S = 0.5
REFITTED = 2
PUBLISHED, FAILED = "published", "failed"


@dataclass(frozen=True)
class Refit:
    """How the live stream ended."""

    counts: WorkerCounts
    """The metrics of the worker after the refit and all ratings."""

    outcome: str
    """The outcome of the refit, as the trainer counts it: published, or why not."""

    @property
    def words(self) -> str:
        """Where the generation in service comes from."""
        if self.outcome == PUBLISHED:
            return "fitted by the trainer during the stream"
        return f"as before: the trainer did not publish its refit ({self.outcome})"

    @property
    def tried_by(self) -> str:
        """Which generations made the lists of the trials."""
        served = self.counts.generation
        if served < REFITTED:
            return f"lists of generation {served}"
        return f"lists of generation 1, and of generation {served} once it was in service"


class Progressed(NamedTuple):
    """How far the refit has come."""

    worker: WorkerCounts | None
    refits: dict[str, int]

    @property
    def is_done(self) -> bool:
        """Whether the worker serves the refit, or will not: the trainer published none, or none was taken."""
        is_refused = self.worker is not None and self.worker.n_refused > 0
        is_ended = bool(self.refits) and (PUBLISHED not in self.refits or is_refused)
        return self.is_in_service or is_ended

    @property
    def is_in_service(self) -> bool:
        """Whether the worker serves the refit."""
        return self.worker is not None and self.worker.generation >= REFITTED

    def __str__(self) -> str:
        served = "the worker does not answer"
        if self.worker is not None:
            served = f"generation {self.worker.generation} in service, {self.worker.n_refused} models refused"
        return f"{served}; refits of the trainer by outcome: {self.refits or 'none yet'}"


def stream_live(
    cluster: DemoCluster, ratings: Ratings, worker_url: str, trainer_url: str, console: Console
) -> Refit:
    """Publish ratings at an even rate; return how it was after the refit and all ratings.

    Raises:
        DemoError: a process ended, the refit failed, or nothing changed any more.
    """
    producer, pace = Producer(cluster.settings), Pace(max(len(ratings) / LIVE_S, MIN_RATE))
    publish("newer half", ratings, producer, cluster, pace=pace, console=console, worker_url=worker_url)
    with console.status("Waiting for the refit ..."):
        outcome = _wait_refit(cluster, worker_url, trainer_url)
    with console.status("Waiting for the last ratings ..."):
        cluster.wait_applied()
        counts = cluster.processes.wait_for(
            "the metrics of the worker", lambda: read_worker(worker_url), lambda found: found is not None
        )
    assert counts is not None
    if outcome == PUBLISHED:
        told = "is in service; the worker swapped it in without a restart"
    else:
        told = f"stays in service: the outcome of the refit is {outcome!r}, so nothing was published"
    console.print(f"generation {counts.generation} {told}", soft_wrap=True)
    return Refit(counts, outcome)


def _wait_refit(cluster: DemoCluster, worker_url: str, trainer_url: str) -> str:
    """Wait until the refit is in service, or will not be; return its outcome."""
    found = cluster.processes.wait_for(
        "the refit",
        lambda: Progressed(read_worker(worker_url), read_refits(trainer_url)),
        lambda found: found.is_done,
        patience_s=REFIT_PATIENCE_S,
    )
    if found.is_in_service:
        return PUBLISHED
    if FAILED in found.refits or PUBLISHED in found.refits:
        log = cluster.processes.children[-1].log_tail()
        raise DemoError(f"the refit is not in service: {found}; the end of the trainer's log:\n{log}")
    return next(iter(found.refits))


def publish(
    name: str,
    ratings: Ratings,
    producer: Producer,
    cluster: DemoCluster,
    *,
    pace: Pace,
    console: Console,
    worker_url: str | None = None,
) -> None:
    """Publish ratings behind a progress bar; with a worker, the bar shows its generation and hit rate."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[status]}"), console=console) as bar:
        task = bar.add_task(name, total=len(ratings), status="")
        read_at = time.monotonic()

        def advance(n: int) -> None:
            nonlocal read_at
            bar.advance(task, n)
            if worker_url is not None and time.monotonic() - read_at > BAR_S:
                cluster.processes.require_alive()
                bar.update(task, status=_status(read_worker(worker_url)))
                read_at = time.monotonic()

        publish_ratings(ratings, producer, cluster.settings, pace=pace, advance=advance)


def _status(counts: WorkerCounts | None) -> str:
    if counts is None:
        return "the worker is busy"
    total = counts.total
    rate = f"hit rate so far {total.hits / total.trials:.1%}" if total.trials else ""
    return f"generation {counts.generation} in service  {rate}"
