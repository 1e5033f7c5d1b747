"""Evaluate on a fixed split: a training file and a test file that are used as they are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.evaluation.fit_and_serve import Fit, default_fit, serve, timed_fit, warm_up
from dch.evaluation.protocol import describe, relevance_threshold
from dch.evaluation.ranked_lists import make_lists, make_task, measure_lists
from dch.evaluation.report import Report, summarise

NAME_IN_REPORT = "given split"
"""The name of this protocol in reports; names in JSON do not change."""

CASE = (
    "users of the training file; ranked: every item of the training file that they did not rate there; "
    "relevant: their test ratings of relevant_from or more, whether or not the item is in the training file"
)


def evaluate_fixed_split(
    train: Ratings,
    test: Ratings,
    config: DchConfig,
    *,
    seeds: Sequence[int] = (0,),
    relevant_from: float | None = None,
    progress: bool = False,
    fit: Fit = default_fit,
) -> Report:
    """Fit to one file and measure on another; the report calls the case EUEI.

    Args:
        train: the training file.
        test: the test file.
        config: settings of the fit; its seed is replaced.
        seeds: one fit each.
        relevant_from: the lowest relevant test rating; 0 or less makes every rating relevant, None makes
            those relevant that the model counts as positive.
        progress: show the progress of each fit.
        fit: makes the model.
    """
    train, test = with_common_ids(train, test)
    known_users, known_items = train.by_user.counts() > 0, train.by_item.counts() > 0
    is_new = ~np.isin(test.pairs(), train.pairs())
    protocol = describe(NAME_IN_REPORT, train, config, seeds)
    warm_up(fit, config)
    measured, seconds = [], []
    for seed in seeds:
        model, fit_seconds = timed_fit(fit, train, replace(config, seed=seed), progress=progress)
        threshold = relevance_threshold(model, relevant_from)
        task = make_task(
            known_users,
            known_items,
            given=[train],
            test=test.subset(is_new),
            relevant_from=threshold,
        )
        lists = make_lists(serve(model, train), task, n_threads=config.threads)
        measured.append(measure_lists(lists, task, "EUEI"))
        seconds.append(fit_seconds)
    protocol |= {
        "relevant_from": threshold if relevant_from is None else relevant_from,
        "cases": {"EUEI": CASE},
        "test_ratings": len(test),
        "test_ratings_of_users_not_in_training": int((~known_users[test.users]).sum()),
        "test_ratings_of_items_not_in_training": int((~known_items[test.items]).sum()),
        "test_ratings_left_out_because_in_training_too": int((~is_new).sum()),
    }
    return Report(protocol, float(np.mean(seconds)), summarise(measured))


def with_common_ids(train: Ratings, test: Ratings) -> tuple[Ratings, Ratings]:
    """Return both parts over common id tables; the rows of the training part do not change."""
    user_ids = IdTable([*train.user_ids, *test.user_ids])
    item_ids = IdTable([*train.item_ids, *test.item_ids])
    joined = replace(
        train,
        user_ids=user_ids,
        item_ids=item_ids,
        user_features={**test.user_features, **train.user_features},
        item_features={**test.item_features, **train.item_features},
    )
    users = user_ids.rows(test.user_ids)[test.users]
    items = item_ids.rows(test.item_ids)[test.items]
    return joined, replace(joined, users=users, items=items, values=test.values, timestamps=test.timestamps)
