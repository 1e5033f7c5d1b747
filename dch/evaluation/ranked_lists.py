"""Ranked lists for many users at once, equal to the recommender's answers, and their metrics."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import ItemSets, Ratings
from dch.evaluation.feature_lists import lists_without_codes
from dch.evaluation.metrics import METRICS, relevance
from dch.evaluation.neighbour_lists import neighbour_lists
from dch.evaluation.report import DEPTH, Measurement, MetricKey
from dch.jit import kernel
from dch.search import CANDIDATES, nearest_many
from dch.search.reserved_positions import reserve, reserved_positions
from dch.state.state import State

Lists = NDArray[np.int32]
"""(n, k) item rows, best first, -1 past the end."""


class RankingTask(NamedTuple):
    """Which users get a list, which items may be listed, and which of them are relevant.

    Rows are those of the ratings' id tables.
    """

    users: NDArray[np.int32]
    """(n,) users with at least one relevant item."""

    given: ItemSets
    """Items that the user has rated or been given; never listed."""

    candidates: NDArray[np.bool_]
    """(n_items,) items that may be listed."""

    relevant: ItemSets


def make_task(
    users: NDArray[np.bool_],
    candidates: NDArray[np.bool_],
    *,
    given: list[Ratings],
    test: Ratings,
    relevant_from: float,
) -> RankingTask:
    """Make a task for those of the users who have a relevant test rating.

    Args:
        users: (n_users,) bool.
        candidates: (n_items,) bool, items that may be listed.
        given: ratings whose items are never listed for their users.
        test: the tested ratings.
        relevant_from: the lowest test rating that is relevant.
    """
    liked = test.subset((test.values >= relevant_from) & users[test.users])
    task_users = np.unique(liked.users)
    return RankingTask(
        task_users, rated_items(task_users, given), candidates, rated_items(task_users, [liked])
    )


def rated_items(users: NDArray[np.int32], parts: list[Ratings]) -> ItemSets:
    """Return the items that each of these users rated in any of the parts, of which there is at least one."""
    positions = np.full(parts[0].n_users, -1, np.int64)
    positions[users] = np.arange(len(users))
    sets = np.concatenate([positions[part.users] for part in parts])
    items = np.concatenate([part.items for part in parts])
    pairs = np.unique((sets[sets >= 0] << 32) | items[sets >= 0])
    starts = np.searchsorted(pairs, np.arange(len(users) + 1) << 32)
    return ItemSets(starts.astype(np.int64), (pairs & 0xFFFFFFFF).astype(np.int32))


def make_lists(
    state: State,
    task: RankingTask,
    *,
    k: int = DEPTH,
    n_threads: int | None = None,
    new_item_share: float = 0.0,
) -> dict[str, Lists]:
    """Return the lists of each strategy, (n_users, k), equal to those of ``Recommender.recommend``.

    There are lists with neighbours only if the model has neighbours.

    Args:
        state: the state that answers.
        task: the users and the candidates.
        k: length of the lists.
        n_threads: threads of the search; None for the number of cores.
        new_item_share: share of each list that is reserved for items that the fit has not seen.
    """
    n_new = reserved_positions(k, new_item_share)
    popular = popular_lists(state, task, k, n_new=n_new)
    items, encoder = state.snapshot.item_index.view(), state.snapshot.users
    known = encoder.has_code(task.users)
    without_code = lists_without_codes(state, task, popular, has_code=known, n_new=n_new)
    relaxed, vectors = encoder.encode(task.users)
    lists = {}
    for strategy, n_candidates, is_weighted in (
        ("codes", 0, False),
        ("codes-weighted", 0, True),
        ("codes+rerank", CANDIDATES, state.snapshot.model.is_weighted),
    ):
        found = nearest_many(
            items.words,
            k,
            skip_starts=task.given.starts,
            skip_columns=task.given.columns,
            eligible=task.candidates & items.allowed.view(np.bool_),
            popularity=items.precedence,
            relaxed=relaxed,
            item_vectors=items.vectors,
            vectors=vectors,
            n_candidates=n_candidates,
            is_weighted=is_weighted,
            marked=items.is_new,
            n_reserved=n_new,
            n_threads=n_threads,
        )
        lists[strategy] = np.where(known[:, None], found, without_code)
    if not state.snapshot.model.neighbours.is_empty:
        found = neighbour_lists(state, task, relaxed, vectors, k, n_new=n_new, n_threads=n_threads)
        lists["codes+rerank+neighbours"] = np.where(known[:, None], found, without_code)
    return lists | {"popular": popular}


def popular_lists(state: State, task: RankingTask, k: int, *, n_new: int = 0) -> Lists:
    """Return the k most popular candidates that were not given to the user, (n_users, k).

    Popularity is the number of positive ratings. At least n_new of the listed items are items that the fit
    has not seen, if there are so many.
    """
    items = state.snapshot.item_index.view()
    rows = np.flatnonzero(task.candidates & items.allowed.view(np.bool_)).astype(np.int32)
    order = rows[np.argsort(-items.precedence[rows], kind="stable")]
    lists = _first_not_given(order, task, k)
    if n_new:
        new = _first_not_given(order[items.is_new[order] > 0], task, n_new)
        _reserve_many(lists, new, items.is_new, items.precedence)
    return lists


def measure_lists(lists: dict[str, Lists], task: RankingTask, case: str) -> dict[MetricKey, Measurement]:
    """Return each metric of each strategy, averaged over the users; empty if the task has no users.

    Args:
        lists: by strategy, (n_users, k) each.
        task: the task that the lists answer.
        case: name of the task in reports.
    """
    n_relevant = np.diff(task.relevant.starts)
    measured = {}
    for strategy, ranked in lists.items():
        found = relevance(ranked, *task.relevant)
        for name, metric in METRICS.items():
            if len(ranked):
                mean = float(metric(DEPTH, found, n_relevant).mean())
                measured[MetricKey(strategy, case, f"{name}@{DEPTH}")] = Measurement(mean, len(ranked))
    return measured


def _first_not_given(order: Lists, task: RankingTask, k: int) -> Lists:
    lists = np.full((len(task.users), k), -1, np.int32)
    _fill_lists(order, *task.given, np.zeros(len(task.candidates), np.bool_), lists)
    return lists


@kernel
def _fill_lists(
    order: Lists,
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    is_given: NDArray[np.bool_],
    lists: Lists,
) -> None:
    """Fill each list with the first items of the order that were not given to its user."""
    for i in range(len(lists)):
        for position in range(starts[i], starts[i + 1]):
            is_given[columns[position]] = True
        rank = 0
        for row in order:
            if rank == lists.shape[1]:
                break
            if not is_given[row]:
                lists[i, rank] = row
                rank += 1
        for position in range(starts[i], starts[i + 1]):
            is_given[columns[position]] = False


@kernel
def _reserve_many(lists: Lists, new: Lists, is_new: NDArray[np.uint8], precedence: NDArray[np.int64]) -> None:
    """Insert new items into each popular list; equal distances and scores leave the order to precedence."""
    distances, scores = np.zeros(lists.shape[1], np.int32), np.zeros(lists.shape[1], np.float32)
    for i in range(len(lists)):
        n, n_new = np.sum(lists[i] >= 0), np.sum(new[i] >= 0)
        chosen = (new[i, :n_new], distances[:n_new], scores[:n_new])
        reserve(False, n, lists[i], distances, scores, *chosen, is_new, precedence)
