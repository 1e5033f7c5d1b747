"""What neighbours need of a user, and prequential trials in lists with neighbours."""

import numpy as np

from dch.models.codes import Words
from dch.models.neighbours import LATEST, NOTHING_RATED, Rated, rated
from dch.models.towers import Floats, Ints, encode_rows
from dch.search import CANDIDATES, nearest
from dch.search.list_rank import OUTSIDE, candidates_with
from dch.search.neighbour_scores import Items, is_strong, rerank_with_neighbours
from dch.search.query_words import make_queries
from dch.search.scan import Work, no_work
from dch.state.changed_rows import NO_ROWS
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
    before: UsersBefore, latest: Rated, snapshot: Snapshot, item_rows: Ints, ranks: Ints, work: Work
) -> None:
    """Rank the item of the first trial in the list of strategy ``codes+rerank+neighbours`` for its user.

    An item that is neither among the nearest codes nor among the strongest neighbours is outside. Only for
    the others all codes are searched, once, and the whole list is made, which takes as long as an answer.

    Args:
        before: the user of the trial.
        latest: the ratings of the user.
        snapshot: the items and the model.
        item_rows: (n_events,).
        ranks: (n_events,) written at the event of the trial; NOT_TRIED there if it is none.
        work: counters, increased.
    """
    event, skip = before.events[0], before.seen_rows[: before.seen_starts[1]]
    if ranks[event] == NOT_TRIED or not before.bags.n_ratings[0]:
        return
    row, items, neighbours = item_rows[event], _items(snapshot), snapshot.model.neighbours
    query, vector = _query(before, snapshot)
    near, _ = candidates_with(items.words, query, items.allowed, items.precedence, skip, row, work)
    if not len(near):
        if not is_strong(row, items, neighbours, latest, skip):
            ranks[event] = OUTSIDE
            return
        near = _nearest(items, query, skip, work)
    found = rerank_with_neighbours(near, CANDIDATES, items, neighbours, latest, query, vector, skip)
    at = np.flatnonzero(found.rows == row)
    ranks[event] = at[0] if len(at) else OUTSIDE


def compile_trials(snapshot: Snapshot) -> None:
    """Compile or load the kernels that a trial of the first item may not call; the index must have a row."""
    if snapshot.model.neighbours.is_empty:
        return
    row: int = np.zeros(1, np.int32)[0]  # the type of other calls
    items, bits = _items(snapshot), snapshot.model.bits
    query = make_queries(np.zeros((1, bits), np.float32), is_weighted=snapshot.model.is_weighted)[0]
    candidates_with(items.words, query, items.allowed, items.precedence, NO_ROWS, row, no_work())
    is_strong(row, items, snapshot.model.neighbours, NOTHING_RATED, NO_ROWS)


def _items(snapshot: Snapshot) -> Items:
    index, items = snapshot.item_index, snapshot.item_index.view()
    return Items(
        items.words, items.vectors, items.allowed, items.precedence, items.fitted, index.rows_of_fitted
    )


def _query(before: UsersBefore, snapshot: Snapshot) -> tuple[Words, Floats]:
    """Return what is searched for, and the ranking vector, of the first user."""
    sums, squares, n_ratings, _ = before.bags
    head, bits = snapshot.users.tower.head(), snapshot.model.bits
    output = encode_rows(np.zeros(1, np.int32), sums, squares, n_ratings, head)[0]
    return make_queries(output[None, :bits], is_weighted=snapshot.model.is_weighted)[0], output[bits:]


def _nearest(items: Items, query: Words, skip: Ints, work: Work) -> Ints:
    work.compared[0] += len(items.words)
    eligible, popularity = items.allowed.view(np.bool_), items.precedence
    return nearest(items.words, query, CANDIDATES, skip=skip, eligible=eligible, popularity=popularity).rows
