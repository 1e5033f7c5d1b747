"""The plan of an experiment: its data sets, seeds and settings, and what several jobs share."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import NDArray

from dch.artifact import load_model, on_disk, save_model
from dch.config import DchConfig, Objective
from dch.data.ratings import Ratings
from dch.data.splits import Holdout, holdout
from dch.errors import ArtifactError
from dch.evaluation.fit_and_serve import default_fit, timed_fit, warm_up
from dch.evaluation.holdout import SHARES
from dch.experiments.atomic_files import digest_of, read_json, size_of, write_json
from dch.experiments.job_store import JobStore
from dch.models.model import Model

LATER_SETTINGS = {
    "neighbours": None,
    "teacher_neighbours": None,
    "vector_teacher_neighbours": None,
    "relaxed_users": False,
}
"""Settings that fits of earlier versions did not have, and the value with which a fit counts as theirs.

Left to the fit (None), ``teacher_neighbours`` is off on ML-1M and Yelp. On Amazon books it is on: results of
versions without it do not hold there.
"""

EARLIER_DEFAULTS: Mapping[Objective, Mapping[str, object]] = {
    "ranking": {"optimizer": "adam", "mu": 0.1},
    "rating": {"teacher_regularization": 50.0},
}
"""Earlier defaults. Fits for an objective count as fits with these: they do not depend on what changed."""


@dataclass(frozen=True)
class Split:
    """A hold-out whose test part of known users and known items is halved once more."""

    holdout: Holdout

    known_given: Ratings
    """Ratings of known items by known users that are given after the fit."""

    known_test: Ratings
    """The other ratings of known items by known users in the test part."""


@dataclass(frozen=True)
class Plan:
    """The data, seeds and settings of an experiment. Everything random depends on the seed alone."""

    data: Mapping[str, Path]
    """File or folder of ratings by name of the data set: ml-1m, amazon-books, yelp, amazon-timed."""

    out: Path
    """Output folder."""

    seeds: tuple[int, ...] = (3, 4, 5)
    quick: bool = False
    """Check in a few minutes, on little data, that every job runs; the figures mean nothing."""

    config: DchConfig = field(default_factory=DchConfig)
    """Settings of every fit; jobs replace bits, objective and seed."""

    def settings(
        self, name: str | None, *, of_baseline: bool = False, objective: Objective = "ranking"
    ) -> str:
        """Return a digest of everything but the seed that an outcome depends on.

        Args:
            name: the data set, or None if the outcome depends on none.
            of_baseline: whether the outcome is of a baseline alone, so that DCH settings do not count.
            objective: the objective of the fit.
        """
        size = size_of(self.data[name]) if name is not None else 0
        config = {} if of_baseline else _decisive(replace(self.config, objective=objective))
        return digest_of({"config": config, "quick": self.quick, "bytes": size})

    def tuned(self, name: str, key: str, search: Callable[[], Mapping[str, object]]) -> Mapping[str, object]:
        """Return what a search for the settings of a baseline found on the split of the first seed.

        The search runs once; all jobs and later runs read its findings from the job store.

        Args:
            name: the data set.
            key: the name of the search, such as ``ials-settings``.
            search: returns the findings; JSON can represent them.
        """
        store = JobStore(self.out)
        key = f"{name}-{key}-{self.seeds[0]}-{self.settings(name, of_baseline=True)}"
        found = store.tuned(key)
        return store.put_tuned(key, search()) if found is None else found

    def ratings(self, name: str) -> Ratings:
        """Return a data set."""
        return _read(self.data[name])

    def split(self, name: str, seed: int) -> Split:
        """Return the split of a data set for a seed; it does not depend on any fit."""
        return _split(self.data[name], seed)

    def model(
        self, name: str, seed: int, *, bits: int = 64, objective: Objective = "ranking"
    ) -> tuple[Model, float]:
        """Return a model fitted to the training part of the split, and the seconds that its fit took.

        The model is fitted once per settings and kept in ``out/models`` for other jobs and later runs, with
        the seconds of that one fit, whatever its number of threads. Unless the run is quick, kernels are
        compiled before the clock starts.
        """
        hidden = max(self.config.hidden, bits)
        config = replace(self.config, bits=bits, hidden=hidden, objective=objective, seed=seed)
        folder = self.out / "models" / f"{name}-{objective}-{bits}-{seed}-{digest_of(_decisive(config))}"
        before = read_json(folder / "seconds.json", float)
        if before is not None:
            with suppress(ArtifactError):  # fit it again
                return load_model(folder / "model"), before
        rmtree(folder, ignore_errors=True)
        if not self.quick:
            warm_up(default_fit, config)
        model, seconds = timed_fit(default_fit, self.split(name, seed).holdout.train, config, progress=False)
        save_model(folder / "model", model)
        write_json(folder / "seconds.json", seconds)  # last: its absence marks an incomplete model
        return model, seconds


def _decisive(config: DchConfig) -> dict[str, object]:
    """Return the settings that an outcome depends on.

    The number of threads changes only times and rounding. LATER_SETTINGS count only where they differ from
    what versions without them did, so the results of these stay valid. What is switched off by hand differs.
    """
    found = asdict(config)
    del found["threads"]
    found |= EARLIER_DEFAULTS[config.objective]
    if config.objective == "ranking" and config.optimizer:
        found["optimizer"] = config.optimizer
    for name, without in LATER_SETTINGS.items():
        if found[name] == without:
            del found[name]
    return on_disk(found)


@lru_cache(maxsize=1)
def _read(path: Path) -> Ratings:
    return Ratings.read(path)


@lru_cache(maxsize=1)
def _split(path: Path, seed: int) -> Split:
    parts = holdout(_read(path), np.random.default_rng(seed), **SHARES)
    is_given: NDArray[np.bool_] = np.random.default_rng([seed, 1]).random(len(parts.test)) < 0.5
    return Split(parts, parts.test.subset(is_given), parts.test.subset(~is_given))
