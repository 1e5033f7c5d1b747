"""Which trials a search has on a data set."""

import numpy as np
import pytest

from dch.errors import ConfigError
from dch.experiments.baselines import tuning
from dch.experiments.baselines.tuning import TunedSettings
from dch.experiments.jobs import tuned_settings
from dch.experiments.jobs.tuned_settings import SEARCHES, tuned
from tests.dch.experiments.fake_part import plan_in


@pytest.fixture
def plan(tmp_path):
    plan = plan_in(tmp_path, seeds=(0,))
    rng = np.random.default_rng(0)
    pairs = sorted({(int(user), int(item)) for user, item in rng.integers(0, [60, 40], (1200, 2))})
    lines = [f"u{user},i{item},{1 + (user + item) % 5}" for user, item in pairs]
    plan.data["tiny"].write_text("\n".join(["user,item,rating", *lines]))
    return plan


def with_search(monkeypatch, **changes):
    search = SEARCHES["ease-pruned"]._replace(**changes)
    monkeypatch.setattr(tuned_settings, "SEARCHES", {"ease-pruned": search})
    return search


def test_a_search_has_its_trials_and_fewer_on_a_large_catalogue(plan, monkeypatch):
    with_search(monkeypatch, trials=4, trials_of_large=2, large_from=30)
    assert tuned(plan, "tiny", "ease-pruned").n_trials == 2


def items_of_the_search(plan, monkeypatch, **changes):
    """Return the number of items of the ratings that a search is run on."""
    with_search(monkeypatch, of_most_rated=10, **changes)
    n_items = []

    def tune(fit, space, train, seed, *, trials):
        n_items.append(int((train.by_item.counts() > 0).sum()))
        return TunedSettings({}, [])

    monkeypatch.setattr(tuning, "tune", tune)
    tuned(plan, "tiny", "ease-pruned")
    return n_items[0]


def test_a_large_catalogue_is_searched_on_its_most_rated_items(plan, monkeypatch):
    assert items_of_the_search(plan, monkeypatch, whole_up_to=10) == 10


def test_a_small_catalogue_is_searched_as_a_whole(plan, monkeypatch):
    assert items_of_the_search(plan, monkeypatch, whole_up_to=1000) > 10


def test_a_data_set_that_is_too_large_is_refused_before_the_search(plan, monkeypatch):
    def refuse(n_items):
        raise ConfigError(f"{n_items} are too many")

    with_search(monkeypatch, check_size=refuse)
    with pytest.raises(ConfigError, match="are too many"):
        tuned(plan, "tiny", "ease-pruned")
