"""Models of an experiment are fitted once, kept, and made again where they cannot be read."""

import numpy as np
import pytest

from dch.config import DchConfig
from dch.experiments.plan import Plan

CONFIG = DchConfig(bits=16, steps=2, hidden=32, vector_size=8, batch=40, threads=1)


@pytest.fixture
def plan(tmp_path):
    rng = np.random.default_rng(0)
    pairs = sorted({(int(user), int(item)) for user, item in rng.integers(0, [60, 40], (1200, 2))})
    lines = [f"u{user},i{item},{1 + (user + item) % 5}" for user, item in pairs]
    (tmp_path / "ratings.csv").write_text("\n".join(["user,item,rating", *lines]))
    return Plan({"tiny": tmp_path / "ratings.csv"}, tmp_path / "out", (0,), quick=True, config=CONFIG)


def _bag(plan):
    return plan.model("tiny", 0, bits=16)[0].user_tower.bag


def test_a_model_is_fitted_once(plan):
    first, seconds = plan.model("tiny", 0, bits=16)
    again, same = plan.model("tiny", 0, bits=16)
    assert seconds == same
    assert np.array_equal(first.user_tower.bag, again.user_tower.bag)


@pytest.mark.parametrize("broken", ["model.safetensors", "manifest.json"])
def test_a_model_that_cannot_be_read_is_made_again(plan, broken):
    bag = _bag(plan)
    (path,) = plan.out.rglob(broken)
    path.write_bytes(path.read_bytes()[:10])
    assert np.array_equal(_bag(plan), bag)
    path.unlink()
    assert np.array_equal(_bag(plan), bag)
