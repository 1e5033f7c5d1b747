"""New items among all items: how often they are listed, and what places reserved for them bring and cost.

Existing users, encoded from their training ratings, are asked. New items have codes from the ratings that
they were given. Ranked: all items that the user has neither rated in training nor given.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import events_of, serve
from dch.evaluation.lists import Lists, Question, make_lists, make_question, sets_of
from dch.evaluation.metrics import hit_at, ndcg_at, relevance
from dch.evaluation.report import DEPTH
from dch.models.model import Model
from dch.state.state import State


class Asked(NamedTuple):
    """The questions about one split; all rank the same items and bar the same ones."""

    everyone: Question
    """All users of the other two."""

    new: Question
    """Users to whom a new item is relevant; only those items are (EUNI-all)."""

    old: Question
    """Users to whom a training item is relevant; only those items are, the new ones are in the way."""


class Even(NamedTuple):
    """What new items would get from an even hand."""

    of_catalogue: float
    """New items over all items that may be listed."""

    of_relevant: float
    """Ratings of new items over all relevant test ratings."""


class Exposure(NamedTuple):
    """What the lists of one strategy come to, with one share of places reserved."""

    strategy: str
    new_item_share: float
    exposure: float
    """New items over all places in everyone's lists."""

    new_hit: float
    """HIT@20 of new items."""

    new_ndcg: float
    old_hit: float
    """HIT@20 of training items."""

    old_ndcg: float


def ask_about_new(split: Holdout, relevant_from: float) -> Asked:
    """Ask the existing users for lists of all items."""
    users, items = split.train.by_user.counts() > 0, split.train.by_item.counts() > 0
    given, ranked = [split.train, split.item_given], items | split.new_items
    new, old = (
        make_question(users, ranked, given=given, test=test, relevant_from=relevant_from)
        for test in (split.item_test, split.test.subset(items[split.test.items]))
    )
    every = np.union1d(new.users, old.users)
    barred = sets_of(every, given)
    return Asked(Question(every, barred, ranked, barred), new, old)


def state_with_new(model: Model, split: Holdout) -> State:
    """Return a state that has folded in the training ratings, and those given to new items."""
    state = serve(model, split.train)
    state.fold_in_items(events_of(state, split.item_given))
    state.refresh_items()
    return state


def even_shares(state: State, split: Holdout, asked: Asked) -> Even:
    """Return the shares that exposure is to be compared with."""
    allowed = state.snapshot.item_index.view().allowed.view(np.bool_) & asked.everyone.candidates
    n_new, n_old = len(asked.new.relevant.columns), len(asked.old.relevant.columns)
    return Even(float(split.new_items[allowed].mean()), n_new / (n_new + n_old))


def measure_exposure(
    state: State, split: Holdout, asked: Asked, shares: Sequence[float], *, n_threads: int | None = None
) -> Iterator[Exposure]:
    """Yield the measures of every strategy with each share of places reserved for new items.

    Args:
        state: see ``state_with_new``.
        split: says which items are new.
        asked: see ``ask_about_new``; neither question may be empty.
        shares: each from 0 to 1.
        n_threads: of the search; None for the cores there are.
    """
    for share in shares:
        every = make_lists(state, asked.everyone, n_threads=n_threads, new_item_share=share)
        for strategy, lists in every.items():
            exposure = float(split.new_items[lists[lists >= 0]].mean())
            quality = (*_quality(asked, asked.new, lists), *_quality(asked, asked.old, lists))
            yield Exposure(strategy, share, exposure, *quality)


def _quality(asked: Asked, question: Question, lists: Lists) -> tuple[float, float]:
    """Return HIT and NDCG over the users of one question, from the lists of everyone."""
    own = lists[np.searchsorted(asked.everyone.users, question.users)]
    found, n_relevant = relevance(own, *question.relevant), np.diff(question.relevant.starts)
    return tuple(float(metric(DEPTH, found, n_relevant).mean()) for metric in (hit_at, ndcg_at))  # type: ignore[return-value]
