"""Records: what each job found, one file a job, so that a run that was cut goes on where it was."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dch.experiments.atomic_files import read_json, write_json, write_text
from dch.experiments.job import Job, Outcome
from dch.experiments.origin import Origin
from dch.experiments.plan import Plan


class Record(msgspec.Struct, frozen=True):
    """A job that is done."""

    outcome: dict[str, object]
    seconds: float
    command: str
    commit: str
    machine: str
    when: str
    """In UTC, ISO 8601."""

    settings: str
    """Digest of what the outcome depends on: ``Plan.settings``."""

    @property
    def origin(self) -> Origin:
        """Where the outcome comes from."""
        return Origin(self.command, self.commit, self.machine, self.when[:10])


class Records:
    """The records of a plan, in ``out/jobs``; those of other settings are as good as missing."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def read(self, job: Job) -> Record | None:
        """Return the record of a job, or None where it was not done with these settings."""
        record = read_json(self._path(job.name), Record)
        return record if record is not None and record.settings == self._settings(job) else None

    def write(self, job: Job, outcome: Outcome, seconds: float, origin: Origin) -> Record:
        """Write what a job found, and return it as it will be read."""
        record = {
            "outcome": outcome,
            "seconds": seconds,
            **{name: value for name, value in asdict(origin).items() if name not in ("date", "seeds")},
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self._settings(job),
        }
        write_json(self._path(job.name), record)
        self._failure(job.name).unlink(missing_ok=True)
        return msgspec.json.decode(self._path(job.name).read_bytes(), type=Record)

    def write_failure(self, job: str, story: str) -> Path:
        """Write how a job failed, beside the jobs that are done, and return where."""
        write_text(self._failure(job), story)
        return self._failure(job)

    def _path(self, job: str) -> Path:
        return self._plan.out / "jobs" / f"{job}.json"

    def _failure(self, job: str) -> Path:
        return self._plan.out / "failed" / f"{job}.txt"

    def _settings(self, job: Job) -> str:
        named = [name for name in job.name.split("/")[1:] if name in self._plan.data]
        return self._plan.settings(named[0] if named else None, of_baseline=job.of_baseline)
