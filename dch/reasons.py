"""Reasons: for each listed item, the rated items that speak for it ("because you rated X").

Where neighbours speak for a listed item, a rated item counts by its part of their sum. Where they do not, it
counts by how far the score falls when its rating is left out of the history.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import UNKNOWN, IdTable
from dch.models.model import Model
from dch.models.neighbours import LATEST, Rated, rating_steps
from dch.models.running_sums import RunningSums
from dch.models.towers import Floats, Ints
from dch.search.contributions import neighbour_parts, scores_without
from dch.state.item_columns import ItemColumns
from dch.state.snapshot import Snapshot
from dch.state.state import State

MAX_REASONS = 3
"""Reasons of one listed item."""

LEFT_OUT = 50
"""Only the latest ratings are left out one by one: each takes one pass of the user tower."""


class Reason(NamedTuple):
    """A rated item that speaks for a listed one."""

    item: str
    share: float
    """Above 0, at most 1: its part of what all rated items that speak for the listed item add together."""


class Evidence(NamedTuple):
    """The ratings that a query rests on and that may be named, and the bag that holds them."""

    items: Ints  # (n,) rows of the items, latest rating first
    fitted: Ints  # (n,) the same by row of the fit
    ratings: Floats  # (n,)
    bag: RunningSums  # one bag

    def part(self, kept: NDArray[np.bool_ | np.int64] | slice) -> "Evidence":
        """Return some of the ratings, with the whole bag."""
        return Evidence(self.items[kept], self.fitted[kept], self.ratings[kept], self.bag)


def evidence_of_user(state: State, snapshot: Snapshot, row: int) -> Evidence:
    """Return the latest ratings of a user row, and a copy of its bag. The caller holds the lock, or is alone.

    Ratings from before their item was forgotten are left out.
    """
    history, bags = state.history, snapshot.users.bags
    items, ratings, times = history.user_histories.latest_first(row, LATEST, history.item_ids)
    found = Evidence(items, bags.token_of[items], ratings, bags.whole(np.array([row], np.int32)))
    return found.part((found.fitted >= 0) & (times > history.item_histories.forgotten_before(items)))


def evidence_of_history(
    state: State, model: Model, ids: IdTable, ratings: Floats, bag: RunningSums
) -> Evidence:
    """Return the latest ratings of an inline history, which names them oldest first.

    As of a user, the latest LATEST are taken before those that the fit never saw are left out: older ones do
    not count in the score either.

    Args:
        state: knows the rows of the items.
        model: knows their rows in the fit.
        ids: (n,) the rated items.
        ratings: (n,).
        bag: the bag of the history.
    """
    items, fitted = state.history.item_ids.rows(ids.ids()), model.user_vocabulary.of_others(ids)
    latest = np.arange(len(items))[::-1][:LATEST]
    known = (items[latest] != UNKNOWN) & (fitted[latest] >= 0)
    return Evidence(items, fitted, ratings, bag).part(latest[known])


def reasons_of(
    evidence: Evidence,
    model: Model,
    items: ItemColumns,
    rows: Ints,
    ids: IdTable,
    *,
    by_code: bool,
    by_neighbours: bool,
) -> list[tuple[Reason, ...]]:
    """Return at most MAX_REASONS reasons for each listed item, strongest first; equal ones latest first.

    An item that may not be listed now is never a reason, nor is an item its own.

    Args:
        evidence: what the list rests on.
        model: the model that made the list.
        items: the columns of the index.
        rows: (m,) rows of the listed items.
        ids: the ids of the items.
        by_code: the list is in the order of the codes alone.
        by_neighbours: neighbours count in the order of the list.
    """
    is_known = evidence.items < len(items.allowed)
    is_shown = is_known & (items.allowed.take(evidence.items, mode="clip") > 0)
    evidence = evidence.part(is_shown)
    parts = np.zeros((len(rows), len(evidence.items)))
    if by_neighbours:
        parts = _parts_of_neighbours(evidence, model, items.fitted[rows])
    is_itself = rows[:, None] == evidence.items
    parts[is_itself] = 0
    unexplained = ~(parts > 0).any(axis=1)
    if unexplained.any():
        drops = _drops(evidence.part(slice(LEFT_OUT)), model, items, rows[unexplained], by_code=by_code)
        parts[unexplained, :LEFT_OUT] = drops
        parts[is_itself] = 0
    return [_strongest(of_hit, evidence.items, ids) for of_hit in np.maximum(parts, 0)]


def _parts_of_neighbours(evidence: Evidence, model: Model, fitted: Ints) -> NDArray[np.float64]:
    steps = rating_steps(evidence.ratings, model.rating_knots)
    parts = neighbour_parts(model.neighbours, Rated(evidence.fitted, steps), fitted)
    return parts.astype(np.float64)


def _drops(
    evidence: Evidence, model: Model, items: ItemColumns, rows: Ints, *, by_code: bool
) -> NDArray[np.float64]:
    """Return how far the score of each listed item falls without each rating, (m, n)."""
    tower = model.user_tower
    scores = scores_without(
        evidence.bag,
        tower.bag,
        model.rating_knots,
        evidence.fitted,
        evidence.ratings,
        tower.code_head() if by_code else tower.head(),
        items.words,
        items.vectors,
        rows,
    ).astype(np.float64)
    drops: NDArray[np.float64] = (scores[0] - scores[1:]).T
    return drops


def _strongest(parts: NDArray[np.float64], items: Ints, ids: IdTable) -> tuple[Reason, ...]:
    best = np.argsort(-parts, kind="stable")[:MAX_REASONS]
    total = parts.sum()
    return tuple(Reason(ids[int(items[at])], float(parts[at] / total)) for at in best if parts[at] > 0)
