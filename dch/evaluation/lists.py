"""Ranked lists for many users at once, as the recommender would answer each, and their quality."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.evaluation.metrics import METRICS, relevance
from dch.evaluation.report import DEPTH, Key, Measured
from dch.jit import kernel
from dch.search import CANDIDATES, nearest_many
from dch.search.reserve import reserve, reserved_positions
from dch.state.state import State

Lists = NDArray[np.int32]
"""(n, k) item rows, best first, -1 past the end."""


class Sets(NamedTuple):
    """Sets of item rows: set i is columns[starts[i]:starts[i + 1]]."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]


class Question(NamedTuple):
    """Who gets a list of what, and what would be right; rows are those of the ratings."""

    users: NDArray[np.int32]
    """(n,) users with something relevant."""

    given: Sets
    """Items never listed: the user has given them already."""

    candidates: NDArray[np.bool_]
    """(n_items,) items that may be listed."""

    relevant: Sets


def make_question(
    users: NDArray[np.bool_],
    candidates: NDArray[np.bool_],
    *,
    given: list[Ratings],
    test: Ratings,
    relevant_from: float,
) -> Question:
    """Ask for those of the users, (n_users,) bool, who have a relevant rating among the tested.

    Relevant is a tested rating of relevant_from or more.
    """
    liked = test.subset((test.values >= relevant_from) & users[test.users])
    asked = np.unique(liked.users)
    return Question(asked, sets_of(asked, given), candidates, sets_of(asked, [liked]))


def sets_of(users: NDArray[np.int32], parts: list[Ratings]) -> Sets:
    """Return the items that each of these users rated in any of the parts (at least one), once each."""
    places = np.full(parts[0].n_users, -1, np.int64)
    places[users] = np.arange(len(users))
    rows = np.concatenate([places[part.users] for part in parts])
    items = np.concatenate([part.items for part in parts])
    pairs = np.unique((rows[rows >= 0] << 32) | items[rows >= 0])
    starts = np.searchsorted(pairs, np.arange(len(users) + 1) << 32)
    return Sets(starts.astype(np.int64), (pairs & 0xFFFFFFFF).astype(np.int32))


def make_lists(
    state: State,
    question: Question,
    *,
    k: int = DEPTH,
    n_threads: int | None = None,
    new_item_share: float = 0.0,
) -> dict[str, Lists]:
    """Return the lists of each strategy, (n_users, k); each as ``Recommender.recommend`` gives it."""
    n_new = reserved_positions(k, new_item_share)
    popular = popular_lists(state, question, k, n_new=n_new)
    catalogue, side = state.snapshot.item_index.view(), state.snapshot.users
    known = side.has_code(question.users)
    relaxed, vectors = side.encode(question.users)
    lists = {}
    for strategy, n_candidates in (("codes", 0), ("codes+rerank", CANDIDATES)):
        found = nearest_many(
            catalogue.words,
            k,
            skip_starts=question.given.starts,
            skip_columns=question.given.columns,
            eligible=question.candidates & catalogue.allowed.view(np.bool_),
            popularity=catalogue.precedence,
            relaxed=relaxed,
            item_vectors=catalogue.vectors,
            vectors=vectors,
            n_candidates=n_candidates,
            marked=catalogue.is_new,
            n_reserved=n_new,
            n_threads=n_threads,
        )
        lists[strategy] = np.where(known[:, None], found, popular)
    return lists | {"popular": popular}


def popular_lists(state: State, question: Question, k: int, *, n_new: int = 0) -> Lists:
    """Return the k candidates of most positive ratings that each user has not given, (n_users, k).

    At least n_new of them are items that the fit never saw, where there are so many.
    """
    catalogue = state.snapshot.item_index.view()
    rows = np.flatnonzero(question.candidates & catalogue.allowed.view(np.bool_)).astype(np.int32)
    order = rows[np.argsort(-catalogue.precedence[rows], kind="stable")]
    lists = _heads(order, question, k)
    if n_new:
        new = _heads(order[catalogue.is_new[order] > 0], question, n_new)
        _reserve_many(lists, new, catalogue.is_new, catalogue.precedence)
    return lists


def _heads(order: Lists, question: Question, k: int) -> Lists:
    lists = np.full((len(question.users), k), -1, np.int32)
    _walk(order, *question.given, np.zeros(len(question.candidates), np.bool_), lists)
    return lists


def measure(lists: dict[str, Lists], question: Question, case: str) -> dict[Key, Measured]:
    """Return each metric of each strategy, averaged over the users asked for; none when nobody was."""
    n_relevant = np.diff(question.relevant.starts)
    measured = {}
    for strategy, ranked in lists.items():
        found = relevance(ranked, *question.relevant)
        for name, metric in METRICS.items():
            if len(ranked):
                mean = float(metric(DEPTH, found, n_relevant).mean())
                measured[Key(strategy, case, f"{name}@{DEPTH}")] = Measured(mean, len(ranked))
    return measured


@kernel
def _walk(
    order: Lists,
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    is_given: NDArray[np.bool_],
    lists: Lists,
) -> None:
    """Fill each list with the head of the order, without what the user has given."""
    for i in range(len(lists)):
        for at in range(starts[i], starts[i + 1]):
            is_given[columns[at]] = True
        place = 0
        for row in order:
            if place == lists.shape[1]:
                break
            if not is_given[row]:
                lists[i, place] = row
                place += 1
        for at in range(starts[i], starts[i + 1]):
            is_given[columns[at]] = False


@kernel
def _reserve_many(lists: Lists, new: Lists, is_new: NDArray[np.uint8], precedence: NDArray[np.int64]) -> None:
    """Bring new items into each popular list; nothing but precedence orders one."""
    distances, scores = np.zeros(lists.shape[1], np.int32), np.zeros(lists.shape[1], np.float32)
    for i in range(len(lists)):
        n, n_new = np.sum(lists[i] >= 0), np.sum(new[i] >= 0)
        chosen = (new[i, :n_new], distances[:n_new], scores[:n_new])
        reserve(False, n, lists[i], distances, scores, *chosen, is_new, precedence)
