"""The jobs of the tables for DCH, on little data."""

from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.jobs.table_protocol import by_case, measure_tables, new_ratings
from dch.experiments.jobs.tables import jobs
from dch.experiments.plan import Plan
from dch.training import fit_model

QUICK = DchConfig(steps=8, vector_size=8, batch=40, sampled_items=30, threads=1, neighbours=0)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Ratings of two tastes: users like the items of their own parity."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    pairs = {(int(user), int(item)) for user, item in rng.integers(0, [80, 60], (2400, 2))}
    lines = [f"u{user},i{item},{5 if (user + item) % 2 == 0 else 2}" for user, item in sorted(pairs)]
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    return Plan({"tiny": folder / "ratings.csv"}, folder / "out", seeds=(1,), quick=True, config=QUICK)


def _outcome(plan, what):
    (job,) = [job for job in jobs(plan) if job.name == f"tables/tiny/{what}/1"]
    return job.run()


def test_the_ceiling_is_a_fit_from_scratch_on_old_and_new_ratings(plan):
    split = plan.split("tiny", 1)
    every = join(split.holdout.train, new_ratings(split))
    oracle = fit_model(every, replace(QUICK, seed=1))
    found = _outcome(plan, "ceiling-ranking")
    assert found["cases"] == by_case(measure_tables(oracle, split, n_threads=1))
    assert found["bytes_per_item"] == 8
    assert found["bytes_per_item_reranked"] == 8 + 8


@pytest.mark.parametrize("objective", ["ranking", "rating"])
def test_dch_2_adds_the_seconds_of_its_update_to_those_of_the_fit_of_dch_1(plan, objective):
    frozen, updated = (_outcome(plan, f"dch-{n}-{objective}") for n in (1, 2))
    assert updated["fit_seconds"] == frozen["fit_seconds"] + updated["update_seconds"]
    assert updated["cases"].keys() == frozen["cases"].keys() == {"EUEI", "NUEI", "EUNI"}
    assert updated["cases"] != frozen["cases"]
