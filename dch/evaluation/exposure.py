"""Exposure of new items: how often they are listed, and the effect of reserved positions on HIT and NDCG.

Lists are for existing users, encoded from their training ratings. New items are encoded from the ratings that
are given of them. Candidates are all items that the user has neither rated in training nor given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import events_of, serve
from dch.evaluation.metrics import hit_at, ndcg_at, relevance
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, make_task, rated_items
from dch.evaluation.report import DEPTH
from dch.models.model import Model
from dch.state.state import State


class ExposureTasks(NamedTuple):
    """The ranking tasks of one split; all have the same candidates and the same given items."""

    all_users: RankingTask
    """The users of both other tasks."""

    new_items: RankingTask
    """Users with a relevant new item; only new items are relevant (EUNI-all)."""

    old_items: RankingTask
    """Users with a relevant training item; only training items are relevant, new items compete with them."""


class FairShares(NamedTuple):
    """Shares of new items with which their exposure is compared.

    The field names are JSON keys of experiments.
    """

    of_catalogue: float
    """Share of new items among the items that may be listed."""

    of_relevant: float
    """Share of new items among the relevant test ratings."""


class Exposure(NamedTuple):
    """Measures of one strategy with one share of reserved positions.

    The field names are JSON keys of experiments.
    """

    strategy: str
    new_item_share: float
    exposure: float
    """Share of new items among all positions in the lists of all users."""

    new_hit: float
    """HIT@20 of new items."""

    new_ndcg: float
    old_hit: float
    """HIT@20 of training items."""

    old_ndcg: float


def make_exposure_tasks(split: Holdout, relevant_from: float) -> ExposureTasks:
    """Make the tasks of ranking all items for existing users.

    Args:
        split: the parts of the data.
        relevant_from: the lowest relevant rating.
    """
    users, items = split.train.by_user.counts() > 0, split.train.by_item.counts() > 0
    given, ranked = [split.train, split.item_given], items | split.new_items
    new, old = (
        make_task(users, ranked, given=given, test=test, relevant_from=relevant_from)
        for test in (split.item_test, split.test.subset(items[split.test.items]))
    )
    all_users = np.union1d(new.users, old.users)
    given_items = rated_items(all_users, given)
    return ExposureTasks(RankingTask(all_users, given_items, ranked, given_items), new, old)


def with_few_given(split: Holdout, count: int, rng: np.random.Generator) -> Holdout:
    """Return the split with at most so many given ratings of each new item, drawn at random."""
    given = split.item_given
    order = rng.permutation(len(given))
    by_item = order[np.argsort(given.items[order], kind="stable")]
    counts = np.bincount(given.items, minlength=1)
    number = np.arange(len(given)) - np.repeat(np.cumsum(counts) - counts, counts)
    return replace(split, item_given=given.subset(by_item[number < count]))


def state_with_new_items(model: Model, split: Holdout) -> State:
    """Return a state that has folded in the training ratings and the given ratings of new items."""
    state = serve(model, split.train)
    state.fold_in_items(events_of(state, split.item_given))
    state.refresh_items()
    return state


def fair_shares(state: State, split: Holdout, tasks: ExposureTasks) -> FairShares:
    """Return the shares of new items with which their exposure is compared."""
    allowed = state.snapshot.item_index.view().allowed.view(np.bool_) & tasks.all_users.candidates
    n_new, n_old = len(tasks.new_items.relevant.columns), len(tasks.old_items.relevant.columns)
    return FairShares(float(split.new_items[allowed].mean()), n_new / (n_new + n_old))


def measure_exposure(
    state: State,
    split: Holdout,
    tasks: ExposureTasks,
    shares: Sequence[float],
    *,
    n_threads: int | None = None,
) -> Iterator[Exposure]:
    """Yield the measures of every strategy for each share of positions reserved for new items.

    Args:
        state: see ``state_with_new_items``.
        split: determines which items are new.
        tasks: see ``make_exposure_tasks``; no task may be without users.
        shares: each from 0 to 1.
        n_threads: threads of the search; None for the number of cores.
    """
    for share in shares:
        by_strategy = make_lists(state, tasks.all_users, n_threads=n_threads, new_item_share=share)
        for strategy, lists in by_strategy.items():
            exposure = float(split.new_items[lists[lists >= 0]].mean())
            quality = (*_quality(tasks, tasks.new_items, lists), *_quality(tasks, tasks.old_items, lists))
            yield Exposure(strategy, share, exposure, *quality)


def _quality(tasks: ExposureTasks, task: RankingTask, lists: Lists) -> tuple[float, float]:
    """Return HIT and NDCG of one task, whose users' lists are among the lists of all users."""
    task_lists = lists[np.searchsorted(tasks.all_users.users, task.users)]
    found, n_relevant = relevance(task_lists, *task.relevant), np.diff(task.relevant.starts)
    return tuple(float(metric(DEPTH, found, n_relevant).mean()) for metric in (hit_at, ndcg_at))  # type: ignore[return-value]
