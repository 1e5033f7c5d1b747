"""Evaluate by hold-out: existing users, new users and new items; the frozen towers encode the new ones.

Existing users and items are those in the training part. EUEI: existing user, existing item; NUEI: new user,
existing item; EUNI: existing user, new item.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout, holdout
from dch.evaluation.fit_and_serve import Fit, default_fit, events_of, serve, timed_fit, warm_up
from dch.evaluation.protocol import describe, relevance_threshold
from dch.evaluation.ranked_lists import RankingTask, make_lists, make_task, measure_lists
from dch.evaluation.report import Measurement, MetricKey, Report, summarise
from dch.models.model import Model

SHARES = {"test_share": 0.2, "user_share": 0.1, "item_share": 0.1}

SPLIT = "each rating to the test part by chance; ratings of held-out items by held-out users are not used"

CASES = {
    "EUEI": "users of the training part; ranked: every training item they did not rate in training; "
    "relevant: their test ratings of these of relevant_from or more",
    "NUEI": "users held out whole, 80% of their ratings of training items given to the user tower; "
    "ranked: every training item not given; relevant: those of relevant_from or more among the other 20%",
    "EUNI-new": "items held out whole, 80% of their ratings by training users given to the item tower; "
    "asked: training users, encoded from training ratings; ranked: the held-out items not given by the user; "
    "relevant: those of relevant_from or more among the other 20%",
    "EUNI-all": "as EUNI-new; ranked: training items and held-out items, not rated in training and not given",
}


def evaluate_holdout(
    ratings: Ratings,
    config: DchConfig,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    relevant_from: float | None = None,
    progress: bool = False,
    fit: Fit = default_fit,
) -> Report:
    """Fit and measure once per seed; the seed determines the split and the fit.

    Args:
        ratings: the whole data set.
        config: settings of the fit; its seed is replaced.
        seeds: one split and one fit each.
        relevant_from: the lowest relevant rating; 0 or less makes every rating relevant, None makes those
            relevant that the model counts as positive.
        progress: show the progress of each fit.
        fit: makes the model.

    Raises:
        RatingsError: no ratings are left for training.
    """
    protocol = describe("holdout", ratings, config, seeds) | SHARES
    warm_up(fit, config)
    measured, seconds = [], []
    for seed in seeds:
        split = holdout(ratings, np.random.default_rng(seed), **SHARES)
        model, fit_seconds = timed_fit(fit, split.train, replace(config, seed=seed), progress=progress)
        threshold = relevance_threshold(model, relevant_from)
        measured.append(measure_holdout(model, split, threshold, n_threads=config.threads))
        seconds.append(fit_seconds)
    protocol |= {
        "split": SPLIT,
        "relevant_from": threshold if relevant_from is None else relevant_from,
        "cases": CASES,
    }
    return Report(protocol, float(np.mean(seconds)), summarise(measured))


def measure_holdout(
    model: Model, split: Holdout, relevant_from: float, *, n_threads: int | None = None
) -> dict[MetricKey, Measurement]:
    """Measure all cases with a model fitted to the training part.

    Args:
        model: the model.
        split: the parts of the data.
        relevant_from: the lowest relevant rating.
        n_threads: threads of the search; None for the number of cores.
    """
    state = serve(model, split.train)
    state.fold_in_users(events_of(state, split.user_given))
    state.fold_in_items(events_of(state, split.item_given))
    state.refresh_items()
    measured: dict[MetricKey, Measurement] = {}
    for case, task in holdout_tasks(split, relevant_from).items():
        measured |= measure_lists(make_lists(state, task, n_threads=n_threads), task, case)
    return measured


def holdout_tasks(split: Holdout, relevant_from: float) -> dict[str, RankingTask]:
    """Return the ranking task of each of CASES; it is the same for all methods."""
    train, known_users, known_items = split.train, *known_rows(split)
    tasks = {}
    for case, users, items, given, test in (
        ("EUEI", known_users, known_items, [train], ratings_of_items(split.test, known_items)),
        (
            "NUEI",
            split.new_users,
            known_items,
            [split.user_given],
            ratings_of_items(split.user_test, known_items),
        ),
        ("EUNI-new", known_users, split.new_items, [train, split.item_given], split.item_test),
        ("EUNI-all", known_users, known_items | split.new_items, [train, split.item_given], split.item_test),
    ):
        tasks[case] = make_task(users, items, given=given, test=test, relevant_from=relevant_from)
    return tasks


def known_rows(split: Holdout) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which users, (n_users,), and which items, (n_items,), have a rating in the training part."""
    return split.train.by_user.counts() > 0, split.train.by_item.counts() > 0


def ratings_of_items(ratings: Ratings, items: NDArray[np.bool_]) -> Ratings:
    """Return the ratings of these items, (n_items,) bool."""
    return ratings.subset(items[ratings.items])
