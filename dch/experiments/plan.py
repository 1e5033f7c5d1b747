"""What an experiment works with: data sets, seeds, settings, and the models that its parts share."""

import json
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
from dch.models.model import Model


@dataclass(frozen=True)
class Split:
    """A hold-out whose test part of known users and items is halved once more."""

    holdout: Holdout

    known_given: Ratings
    """Known users, known items: new ratings, given after the fit."""

    known_test: Ratings
    """Known users, known items: the rest of the test part."""


@dataclass(frozen=True)
class Plan:
    """What to work with. Everything drawn by chance depends on the seed alone."""

    data: Mapping[str, Path]
    """File or folder of ratings by name of the data set: ml-1m, amazon-books, yelp, amazon-timed."""

    out: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: bool = False
    """A few minutes on little data, to see that all of it runs; its figures mean nothing."""

    config: DchConfig = field(default_factory=DchConfig)
    """Settings of every fit, but for bits, objective and seed."""

    def settings(self, name: str | None, *, of_baseline: bool = False) -> str:
        """Return a digest of what an outcome depends on beside the seed.

        Args:
            name: the data set; None: there is none.
            of_baseline: the outcome is a compared method's, and no setting of ours changes it.
        """
        size = size_of(self.data[name]) if name is not None else 0
        config = {} if of_baseline else _no_threads(self.config)
        return digest_of({"config": config, "quick": self.quick, "bytes": size})

    def shared(
        self, name: str, key: str, compute: Callable[[], Mapping[str, object]]
    ) -> Mapping[str, object]:
        """Return what was found on the first seed's split about a compared method, for all jobs and runs.

        Args:
            name: the data set.
            key: says what it is, and is part of a file name: ``ials-settings``.
            compute: makes it, JSON-able; called where it is not on disk yet.
        """
        path = (
            self.out / "shared" / f"{name}-{key}-{self.seeds[0]}-{self.settings(name, of_baseline=True)}.json"
        )
        if read_json(path, dict[str, object]) is None:
            write_json(path, compute())
        return json.loads(path.read_text())  # type: ignore[no-any-return] # just written, or checked

    def ratings(self, name: str) -> Ratings:
        """Return a data set."""
        return _read(self.data[name])

    def split(self, name: str, seed: int) -> Split:
        """Return a split of a data set; no part of it depends on a fit."""
        return _split(self.data[name], seed)

    def model(
        self, name: str, seed: int, *, bits: int = 64, objective: Objective = "ranking"
    ) -> tuple[Model, float]:
        """Return the model fitted on the training part of the split, and the seconds that its fit took.

        Fitted once and kept in ``out/models`` by settings, for the parts and runs that follow, with the
        seconds of that one fit, whatever its threads. Kernels are compiled beforehand, but in quick mode.
        """
        hidden = max(self.config.hidden, bits)
        config = replace(self.config, bits=bits, hidden=hidden, objective=objective, seed=seed)
        folder = self.out / "models" / f"{name}-{objective}-{bits}-{seed}-{digest_of(_no_threads(config))}"
        before = read_json(folder / "seconds.json", float)
        if before is not None:
            with suppress(ArtifactError):  # one that cannot be read is made again
                return load_model(folder / "model"), before
        rmtree(folder, ignore_errors=True)
        if not self.quick:
            warm_up(default_fit, config)
        model, seconds = timed_fit(default_fit, self.split(name, seed).holdout.train, config, progress=False)
        save_model(folder / "model", model)
        write_json(folder / "seconds.json", seconds)  # last: a model without it was cut short
        return model, seconds


def _no_threads(config: DchConfig) -> dict[str, object]:
    """Return the settings without the number of threads, which changes times and last bits alone."""
    return on_disk({name: value for name, value in asdict(config).items() if name != "threads"})


@lru_cache(maxsize=1)
def _read(path: Path) -> Ratings:
    return Ratings.read(path)


@lru_cache(maxsize=1)
def _split(path: Path, seed: int) -> Split:
    parts = holdout(_read(path), np.random.default_rng(seed), **SHARES)
    is_given: NDArray[np.bool_] = np.random.default_rng([seed, 1]).random(len(parts.test)) < 0.5
    return Split(parts, parts.test.subset(is_given), parts.test.subset(~is_given))
