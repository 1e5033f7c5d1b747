"""What neighbours need of a user, and prequential trials in lists with neighbours."""

import numpy as np

from dch.models.neighbours import LATEST, NOTHING_RATED, Rated, rated
from dch.models.towers import Ints, encode_rows
from dch.search import CANDIDATES, nearest
from dch.search.list_rank import OUTSIDE
from dch.search.neighbour_scores import Items, may_be_listed, rerank_with_neighbours
from dch.search.query_words import make_queries
from dch.state.histories import History
from dch.state.prequential import NOT_TRIED, UsersBefore
from dch.state.snapshot import Snapshot


def rated_by(history: History, snapshot: Snapshot, row: int) -> Rated:
    """Return the latest ratings of a user row. The caller holds the lock, or is alone."""
    if snapshot.model.neighbours.is_empty:
        return NOTHING_RATED
    items, ratings = history.user_histories.latest(row, LATEST, history.item_ids)
    fitted = snapshot.users.bags.token_of[items]
    return rated(fitted, ratings, snapshot.model.rating_knots)


def rank_first_trial(
    before: UsersBefore, latest: Rated, snapshot: Snapshot, item_rows: Ints, ranks: Ints
) -> None:
    """Rank the item of the first trial in the list of strategy ``codes+rerank+neighbours`` for its user.

    An item that is neither among the nearest codes nor among the strongest neighbours is outside. Only for
    the others it makes the whole list, which takes as long as an answer.

    Args:
        before: the user of the trial.
        latest: the ratings of the user.
        snapshot: the items and the model.
        item_rows: (n_events,).
        ranks: (n_events,) ranks without neighbours, changed at the event of the trial.
    """
    event, head = before.events[0], snapshot.users.tower.head()
    items, index = snapshot.item_index.view(), snapshot.item_index
    columns = Items(
        items.words, items.vectors, items.allowed, items.precedence, items.fitted, index.rows_of_fitted
    )
    neighbours, skip = snapshot.model.neighbours, before.seen_rows[: before.seen_starts[1]]
    is_near = bool(ranks[event] != OUTSIDE)  # asked of every event, so that the first one compiles it
    is_listed = may_be_listed(is_near, item_rows[event], columns, neighbours, latest, skip)
    if ranks[event] == NOT_TRIED or not before.bags.n_ratings[0] or not is_listed:
        return
    sums, squares, n_ratings, _ = before.bags
    output = encode_rows(np.zeros(1, np.int32), sums, squares, n_ratings, head)[0]
    bits = snapshot.model.bits
    query = make_queries(output[None, :bits], is_weighted=snapshot.model.is_weighted)[0]
    candidates = nearest(
        items.words,
        query,
        CANDIDATES,
        skip=skip,
        eligible=items.allowed.view(np.bool_),
        popularity=items.precedence,
        bits=bits,
    )
    found = rerank_with_neighbours(
        candidates.rows, CANDIDATES, columns, neighbours, latest, query, output[bits:], skip
    )
    at = np.flatnonzero(found.rows == item_rows[event])
    ranks[event] = at[0] if len(at) else OUTSIDE
