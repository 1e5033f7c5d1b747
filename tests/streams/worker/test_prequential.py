"""Which ratings are trials, and how trials are counted."""

from itertools import pairwise

import numpy as np
import pytest
from random_models import random_model

from dch.search.list_rank import OUTSIDE
from dch.state.histories import Events
from dch.state.prequential import COHORTS, NOT_TRIED, Ranks
from dch.state.state import State
from streams.metrics import (
    PREQUENTIAL_HITS,
    PREQUENTIAL_POPULAR_HITS,
    PREQUENTIAL_SHARE_RATIO,
    PREQUENTIAL_TRIALS,
)
from streams.settings import WorkerSettings
from streams.worker.prequential import INTERVAL_S, Trials, TrialShare

MODEL = random_model()  # users u0 to u5, items i0 to i7; positive from 4


def events(ratings, offsets, users=None, items=None):
    n = len(ratings)
    zeros = np.zeros(n, np.int32)
    return Events(
        zeros if users is None else users,
        zeros if items is None else items,
        np.array(ratings, np.float32),
        np.zeros(n, np.int64),
        np.array(offsets, np.int64),
    )


def chosen(ratings, offsets, partitions, live=True, **settings):
    trials = Trials(WorkerSettings(**settings), MODEL, {"0": 10, "1": 5, "99": 1, "x": 1})
    live = np.full(len(ratings), live)
    return trials.choose(events(ratings, offsets), np.array(partitions), live).tolist()


def test_only_live_positive_ratings_from_the_watermark_on_are_trials():
    assert chosen([5, 4, 3, np.nan], [20] * 4, [0] * 4) == [True, True, False, False]
    assert chosen([5, 5, 5, 5], [9, 10, 5, 0], [0, 0, 1, 2]) == [False, True, True, True]
    assert chosen([5], [20], [0], live=False) == [False]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_sampling_a_share_always_selects_the_same_ratings(share):
    n = 10_000
    found = chosen([5] * n, range(100, 100 + n), [0] * n, prequential_share=share)
    assert found == chosen([5] * n, range(100, 100 + n), [0] * n, prequential_share=share)
    assert sum(found) == pytest.approx(share * n, abs=5)


def test_a_smaller_share_selects_a_part_of_what_a_larger_one_selects():
    n = 10_000
    selected = [
        {
            at
            for at, is_trial in enumerate(chosen([5] * n, range(n), [1] * n, prequential_share=share))
            if is_trial
        }
        for share in (1.0, 0.5, 0.25, 0.03)
    ]
    assert all(smaller < larger for larger, smaller in pairwise(selected))


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


def test_the_share_is_halved_while_trials_take_over_five_percent_of_a_core_and_grows_back():
    clock, seconds, shares = Clock(), 100.0, []
    share = TrialShare(0.8, now=clock)
    share.adjust(seconds)
    for used in (0.04, 0.06, 0.21, 0.01, 0.02, 0.0, 0.0, 0.0, 0.0):
        clock.now += INTERVAL_S / 2
        share.adjust(seconds)
        clock.now += INTERVAL_S / 2
        seconds += INTERVAL_S * used
        share.adjust(seconds)
        shares.append(share.value)
        assert PREQUENTIAL_SHARE_RATIO.collect()[0].samples[0].value == share.value
    assert shares == [0.8, 0.4, 0.05, 0.1, 0.1, 0.2, 0.4, 0.8, 0.8]


def test_a_backlog_is_not_slowed_down_by_trials_until_an_interval_is_over():
    """Each batch takes no time on the clock here, and a trial costs 8 us."""
    share, seconds = TrialShare(1.0, now=Clock()), 0.0
    for _ in range(50):
        seconds += 4000 * share.value * 8e-6
        share.adjust(seconds)
    assert seconds < 50 * 4000 * 8e-6 / 3
    assert share.value in (1 / 8, 1 / 16)


def test_trials_and_hits_are_counted_by_cohort():
    state = State(MODEL)
    users = state.history.user_ids.intern_many(["u0", "stranger"])
    items = state.history.item_ids.intern_many(["i0", "novelty"])
    state.prepare(MODEL)
    state.fold_in_users(state.events(["u0"], ["i0"], [1.0], [0]))  # makes room for both
    rows = np.array([(u, i) for u in users for i in items], np.int32)
    before = counts()
    ranks = Ranks(np.array([0, 19, 20, NOT_TRIED], np.int32), np.array([OUTSIDE, 0, 3, NOT_TRIED], np.int32))
    Trials(WorkerSettings(), MODEL, {}).count(
        ranks, state.cohorts(events([5] * 4, [0] * 4, rows[:, 0], rows[:, 1]))
    )
    moved = {key: value - before[key] for key, value in counts().items() if value != before[key]}
    assert moved == {
        ("trials", "existing_user_existing_item"): 1,
        ("trials", "existing_user_new_item"): 1,
        ("trials", "new_user_existing_item"): 1,
        ("hits", "existing_user_existing_item"): 1,
        ("hits", "existing_user_new_item"): 1,
        ("popular", "existing_user_new_item"): 1,
        ("popular", "new_user_existing_item"): 1,
    }


def counts():
    counters = {"trials": PREQUENTIAL_TRIALS, "hits": PREQUENTIAL_HITS, "popular": PREQUENTIAL_POPULAR_HITS}
    return {
        (name, cohort): counter.labels(cohort)._value.get()
        for name, counter in counters.items()
        for cohort in COHORTS
    }
