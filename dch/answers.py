"""Answers: the best items for a query, by the strategy that it asks for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from dch.data.ids import IdTable
from dch.lists import (
    candidates_of_each,
    lacks_new,
    list_of,
    new_candidates_of_each,
    reserve_new,
    searches_all,
)
from dch.questions import BY_CODE, WITHOUT_CODE, Question, Strategy
from dch.reasons import Reason, reasons_of
from dch.search import Nearest
from dch.state.item_columns import ItemColumns, popularity_of
from dch.state.item_index import Served

Moments = Mapping[int, Served]
"""The items as they are at one moment, by the identity of the snapshot."""


class Hit(NamedTuple):
    """One recommended item."""

    item: str
    distance: int | None
    """Hamming distance to the query, weighted if the search was; None for ``popular`` and ``features``."""

    score: float
    """Larger is better. ``codes``: number of equal bits minus number of different bits; ``codes-weighted``:
    weight of the equal bits minus weight of the different bits. ``codes+rerank``: product of the ranking
    vectors, or of the relaxed code and the item's signs; with neighbours, plus their part; for similar items,
    that part alone, -1 to 1; with neighbours, an item newer than the fit has the score of the item after it.
    ``popular``: number of positive ratings of the item. ``features``: logarithm of that number, plus the
    lifts of the user's features."""

    because: tuple[Reason, ...] = ()
    """At most three rated items that speak for this one, strongest first. Empty unless they were asked for,
    in the popular list, and where no rated item speaks for this one."""


class Answer(NamedTuple):
    """A list and how it was made."""

    hits: list[Hit]
    strategy: Strategy
    """The strategy that was used: without ratings ``features``, or ``popular`` if no features were known
    either, and never one with neighbours if the model has none."""

    generation: int
    code: bytes | None
    """The packed code; None if there is none."""

    ratings: int | None
    """How many ratings the list rests on: the live ratings of the user, or the items of an inline history.
    None for similar items. Ratings of items that the fit never saw count too, though they change no code."""

    generation_hash: str = ""
    """Tells models of one generation apart; see ``Model.generation_hash``."""


def answer_all(questions: Sequence[Question], ids: IdTable) -> list[Answer]:
    """Answer each question, from the items as they are at one moment.

    Those that search all codes share one pass over them.
    """
    snapshots = {id(asked.query.snapshot): asked.query.snapshot for asked in questions}
    with ExitStack() as held:
        moments = {key: held.enter_context(one.item_index.reading()) for key, one in snapshots.items()}
        return _answer_all(questions, moments, ids)


def _answer_all(questions: Sequence[Question], moments: Moments, ids: IdTable) -> list[Answer]:
    served = [moments[id(asked.query.snapshot)] for asked in questions]
    candidates = _together(questions, moments, candidates_of_each)
    lists = [list_of(asked, candidates.get(at), served[at]) for at, asked in enumerate(questions)]
    lacking = [at for at, asked in enumerate(questions) if lacks_new(asked, lists[at], served[at])]
    asking = [questions[at].for_new for at in lacking]
    new = _together(asking, moments, new_candidates_of_each)
    for i, at in enumerate(lacking):
        reserve_new(asking[i], lists[at], new.get(i), served[at])
    return [
        _answer(asked, found, items.columns, ids)
        for asked, found, items in zip(questions, lists, served, strict=True)
    ]


def _together(
    questions: Sequence[Question],
    moments: Moments,
    search: Callable[[Sequence[Question], Served], list[Nearest]],
) -> dict[int, Nearest]:
    """Return what a search finds for the questions that search all codes, by position; one for each kind."""
    kinds: dict[tuple[int, bool], list[int]] = {}
    for at, asked in enumerate(questions):
        if searches_all(asked):
            kinds.setdefault((id(asked.query.snapshot), asked.is_weighted), []).append(at)
    found: dict[int, Nearest] = {}
    for (snapshot, _), same in kinds.items():
        found |= zip(same, search([questions[at] for at in same], moments[snapshot]), strict=True)
    return found


def _answer(asked: Question, found: Nearest, items: ItemColumns, ids: IdTable) -> Answer:
    query = asked.query
    hits, model = _hits(found, items, ids, asked.strategy), query.snapshot.model
    if query.evidence is not None and asked.strategy not in WITHOUT_CODE:
        by_code, by_neighbours = asked.strategy in BY_CODE, asked.strategy == "codes+rerank+neighbours"
        because = reasons_of(
            query.evidence, model, items, found.rows, ids, by_code=by_code, by_neighbours=by_neighbours
        )
        hits = [hit._replace(because=of_hit) for hit, of_hit in zip(hits, because, strict=True)]
    return Answer(hits, asked.strategy, model.generation, query.code, query.ratings, model.generation_hash)


def _hits(found: Nearest, items: ItemColumns, ids: IdTable, strategy: Strategy) -> list[Hit]:
    rows = found.rows.tolist()
    if strategy == "popular":
        counts = popularity_of(items.precedence[found.rows]).tolist()
        return [Hit(ids[row], None, float(count)) for row, count in zip(rows, counts, strict=True)]
    if strategy == "features":
        return [Hit(ids[row], None, score) for row, score in zip(rows, found.scores.tolist(), strict=True)]
    table = (rows, found.distances.tolist(), found.scores.tolist())
    return [Hit(ids[row], distance, score) for row, distance, score in zip(*table, strict=True)]
