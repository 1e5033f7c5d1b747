"""Evaluation by hold-out: known users, new users and new items, the new ones by frozen towers.

Existing users and items are those of the training part. EUEI: existing user, existing item; NUEI: new user,
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
from dch.evaluation.lists import Question, make_lists, make_question, measure
from dch.evaluation.protocol import describe, least_relevant
from dch.evaluation.report import Key, Measured, Report, summarise
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
    """Fit and measure once per seed, which draws the split and starts the fit.

    Args:
        ratings: the whole data set.
        config: settings of the fit; its seed is replaced.
        seeds: one split and fit each.
        relevant_from: ratings from here on are relevant; 0 or less counts every one, None those that the
            model counts as positive.
        progress: show the progress of each fit.
        fit: makes the model.

    Raises:
        RatingsError: nothing is left to learn from.
    """
    protocol = describe("holdout", ratings, config, seeds) | SHARES
    warm_up(fit, config)
    measured, seconds = [], []
    for seed in seeds:
        split = holdout(ratings, np.random.default_rng(seed), **SHARES)
        model, taken = timed_fit(fit, split.train, replace(config, seed=seed), progress=progress)
        least = least_relevant(model, relevant_from)
        measured.append(measure_holdout(model, split, least, n_threads=config.threads))
        seconds.append(taken)
    protocol |= {
        "split": SPLIT,
        "relevant_from": least if relevant_from is None else relevant_from,
        "cases": CASES,
    }
    return Report(protocol, float(np.mean(seconds)), summarise(measured))


def measure_holdout(
    model: Model, split: Holdout, relevant_from: float, *, n_threads: int | None = None
) -> dict[Key, Measured]:
    """Measure all cases with a model fitted to the training part."""
    state = serve(model, split.train)
    state.fold_in_users(events_of(state, split.user_given))
    state.fold_in_items(events_of(state, split.item_given))
    state.refresh_items()
    measured: dict[Key, Measured] = {}
    for case, question in holdout_questions(split, relevant_from).items():
        measured |= measure(make_lists(state, question, n_threads=n_threads), question, case)
    return measured


def holdout_questions(split: Holdout, relevant_from: float) -> dict[str, Question]:
    """Return what is asked in each of CASES, whoever answers."""
    train, known_users, known_items = split.train, *known(split)
    questions = {}
    for case, users, items, given, test in (
        ("EUEI", known_users, known_items, [train], of_items(split.test, known_items)),
        ("NUEI", split.new_users, known_items, [split.user_given], of_items(split.user_test, known_items)),
        ("EUNI-new", known_users, split.new_items, [train, split.item_given], split.item_test),
        ("EUNI-all", known_users, known_items | split.new_items, [train, split.item_given], split.item_test),
    ):
        questions[case] = make_question(users, items, given=given, test=test, relevant_from=relevant_from)
    return questions


def known(split: Holdout) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return who has a rating in the training part: users, (n_users,), and items, (n_items,)."""
    return split.train.by_user.counts() > 0, split.train.by_item.counts() > 0


def of_items(ratings: Ratings, items: NDArray[np.bool_]) -> Ratings:
    """Return the ratings of these items, (n_items,) bool."""
    return ratings.subset(items[ratings.items])
