"""The job store: ``jobs.json.gz``, one compressed file with the results of all jobs in an output folder.

Finished jobs are cached there, so an interrupted run resumes. The file is replaced atomically after each job.
A file lock lets several processes share an output folder; each adds its results to those of the others.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock

from dch.errors import ConfigError
from dch.experiments.atomic_files import to_json, write_bytes, write_text
from dch.experiments.provenance import Origin

FILE, LOCK, FAILURES = "jobs.json.gz", ".jobs.lock", "failed"


DAMAGE = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    msgspec.MsgspecError,
    UnicodeDecodeError,
    RecursionError,
)
"""What reading a truncated or foreign file raises."""


class JobResult(msgspec.Struct, frozen=True):
    """The result of a finished job, and where it comes from."""

    outcome: dict[str, object]
    """What the job measured."""

    seconds: float
    command: str
    commit: str
    machine: str
    when: str
    """End of the job in UTC, ISO 8601."""

    settings: str
    """Digest of everything but the seed that the outcome depends on: ``Job.settings``."""

    @classmethod
    def of(cls, outcome: Mapping[str, object], seconds: float, origin: Origin, settings: str) -> "JobResult":
        """Return the result of a job that has just finished, with the outcome as JSON represents it.

        Raises:
            NotImplementedError: JSON cannot represent the outcome.
        """
        plain = msgspec.json.decode(to_json(outcome), type=dict[str, object])
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(plain, seconds, origin.command, origin.commit, origin.machine, when, settings)

    @property
    def origin(self) -> Origin:
        """Where the outcome comes from."""
        return Origin(self.command, self.commit, self.machine, self.when[:10])


class Content(msgspec.Struct, frozen=True):
    """The content of the file."""

    format: Literal["dch-jobs"]
    format_version: Literal[1]
    jobs: dict[str, JobResult]
    """By job name."""

    tuned: dict[str, dict[str, object]]
    """Settings that were tuned for baselines, by a key that includes the digest of what they depend on."""

    @classmethod
    def of(cls, jobs: dict[str, JobResult], tuned: dict[str, dict[str, object]]) -> "Content":
        """Return content in the present format, sorted by name: equal results are equal bytes."""
        return cls("dch-jobs", 1, dict(sorted(jobs.items())), dict(sorted(tuned.items())))


class JobStore:
    """The results of jobs in one output folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def results(self) -> dict[str, JobResult]:
        """Return all results by job name, those of other settings too; empty if there is no file yet.

        Raises:
            ConfigError: the file is truncated, or not a job store.
        """
        return self._read().jobs

    def put(self, job: str, result: JobResult) -> None:
        """Save the result of a job, and delete the report of an earlier failure; on disk when this returns.

        Raises:
            ConfigError: as ``results``; the file stays as it is.
        """
        self._update(lambda old: Content.of({**old.jobs, job: result}, old.tuned))
        self._failure(job).unlink(missing_ok=True)

    def tuned(self, key: str) -> dict[str, object] | None:
        """Return what a search for the settings of a baseline found, or None if it has not been run.

        Raises:
            ConfigError: as ``results``.
        """
        return self._read().tuned.get(key)

    def put_tuned(self, key: str, found: Mapping[str, object]) -> dict[str, object]:
        """Save what a search for the settings of a baseline found, and return it as JSON represents it.

        Raises:
            ConfigError: as ``results``; the file stays as it is.
        """
        plain = msgspec.json.decode(to_json(found), type=dict[str, object])
        self._update(lambda old: Content.of(old.jobs, {**old.tuned, key: plain}))
        return plain

    def put_failure(self, job: str, report: str) -> Path:
        """Write the traceback of a failed job to ``failed/<job>.txt`` and return that path."""
        write_text(self._failure(job), report)
        return self._failure(job)

    def _failure(self, job: str) -> Path:
        return self._folder / FAILURES / f"{job}.txt"

    def _read(self) -> Content:
        path = self._folder / FILE
        try:
            return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Content)
        except FileNotFoundError:
            return Content.of({}, {})
        except DAMAGE as error:
            raise ConfigError(
                f"{path} is truncated or not a job store ({error}); "
                "restore it, or move it away to run all jobs again"
            ) from error

    def _update(self, change: Callable[[Content], Content]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / LOCK):
            content = to_json(change(self._read()))
            # mtime 0: by default the gzip header holds the time of writing
            write_bytes(self._folder / FILE, gzip.compress(content, mtime=0))
