"""Lists with neighbours for many users, equal to the recommender's answers."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import ItemSets
from dch.lists import with_neighbours
from dch.models.neighbours import NOTHING_RATED
from dch.models.towers import Floats, Ints
from dch.queries import Query
from dch.questions import Question
from dch.search import CANDIDATES, nearest_many
from dch.search.reserved_positions import reserve_at_end
from dch.state.item_columns import ItemColumns
from dch.state.neighbour_trials import rated_by
from dch.state.state import State


class Task(Protocol):
    """The part of a ``RankingTask`` that lists need."""

    @property
    def users(self) -> Ints:
        """Rows of the users, (n,)."""
        ...

    @property
    def given(self) -> ItemSets:
        """Items that are never listed."""
        ...

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """Items that may be listed, (n_items,)."""
        ...


def neighbour_lists(
    state: State, task: Task, relaxed: Floats, vectors: Floats, k: int, *, n_new: int, n_threads: int | None
) -> Ints:
    """Return the lists of strategy ``codes+rerank+neighbours``, (n_users, k), -1 past the end.

    Args:
        state: the state that answers; nothing writes to it meanwhile.
        task: the users and the candidates.
        relaxed: (n_users, bits) relaxed codes of the users.
        vectors: (n_users, vector_size) ranking vectors of the users.
        k: length of the lists.
        n_new: how many positions are reserved for items that the fit has not seen.
        n_threads: threads of the search; None for the number of cores.
    """
    items = state.snapshot.item_index.view()
    items = items._replace(allowed=items.allowed & task.candidates)
    new = items._replace(allowed=items.allowed & items.is_new)
    options = {"is_weighted": state.snapshot.model.is_weighted, "n_threads": n_threads}
    nearest = _nearest(items, task, relaxed, vectors, max(k, CANDIDATES), options)
    n_candidates_new = max(n_new, CANDIDATES) if n_new else 0
    nearest_new = _nearest(new, task, relaxed, vectors, n_candidates_new, options)
    lists = np.full((len(task.users), k), -1, np.int32)
    for i, user in enumerate(task.users.tolist()):
        rated = rated_by(state.history, state.snapshot, user)
        query = Query(state.snapshot, relaxed[i], vectors[i], rated=rated, ratings=len(rated.items))
        skip = task.given.columns[task.given.starts[i] : task.given.starts[i + 1]]
        asked = Question(query, k, "codes+rerank+neighbours", skip, None, n_new)
        found = with_neighbours(asked, _present(nearest[i]), items, k)
        if n_new:
            unrated = asked._replace(query=query._replace(rated=NOTHING_RATED))
            best_new = with_neighbours(unrated, _present(nearest_new[i]), new, n_new)
            reserve_at_end(*found, *best_new, items.is_new)
        lists[i, : len(found.rows)] = found.rows
    return lists


def _nearest(
    items: ItemColumns, task: Task, relaxed: Floats, vectors: Floats, k: int, options: Mapping[str, Any]
) -> Ints:
    return nearest_many(
        items.words,
        k,
        skip_starts=task.given.starts,
        skip_columns=task.given.columns,
        eligible=items.allowed.view(np.bool_),
        popularity=items.precedence,
        relaxed=relaxed,
        item_vectors=items.vectors,
        vectors=vectors,
        **options,
    )


def _present(rows: Ints) -> Ints:
    present: Ints = rows[rows >= 0]
    return present
