"""Lists by features for the users without a code, equal to the recommender's answers."""

import numpy as np
from numpy.typing import NDArray

from dch.evaluation.neighbour_lists import Task
from dch.lists import LIFTED, by_features
from dch.models.towers import Ints
from dch.queries import Query
from dch.search.reserved_positions import reserve
from dch.state.popular_items import first_listed, in_order
from dch.state.state import State


def lists_without_codes(
    state: State, task: Task, popular: Ints, *, has_code: NDArray[np.bool_], n_new: int
) -> Ints:
    """Return the lists of users without a code, (n_users, k): by features, or popular without features.

    Args:
        state: the state that answers; nothing writes to it meanwhile.
        task: the users and the candidates.
        popular: (n_users, k) the popular lists.
        has_code: (n_users,) users whose lists are of no interest.
        n_new: how many positions are reserved for items that the fit has not seen.
    """
    items, k = state.snapshot.item_index.view(), popular.shape[1]
    allowed = items.allowed & task.candidates
    order = in_order(np.flatnonzero(allowed).astype(np.int32), items.precedence)
    new = order[items.is_new[order] > 0]
    lists = popular.copy()
    for i in np.flatnonzero(~has_code):
        tokens = state.snapshot.users.bags.features_of(int(task.users[i]))
        query = Query(state.snapshot, tokens=state.snapshot.model.lifts.known(tokens))
        if not len(query.tokens):
            continue
        skip = np.sort(task.given.columns[task.given.starts[i] : task.given.starts[i + 1]])
        found = by_features(query, first_listed(order, allowed, skip, max(k, LIFTED)), items, k)
        if n_new:
            best_new = by_features(query, first_listed(new, allowed, skip, len(new)), items, n_new)
            reserve(True, len(found.rows), *found, *best_new, items.is_new, items.precedence)
        lists[i, : len(found.rows)] = found.rows
    return lists
