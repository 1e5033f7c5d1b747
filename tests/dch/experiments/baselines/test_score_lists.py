"""Lists from scores against a slow reference: a full sort of each user's candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dch.data.ratings import ItemSets
from dch.evaluation.ranked_lists import RankingTask, make_task
from dch.experiments.baselines import score_lists as module
from dch.experiments.baselines.score_lists import can_rank, precedences, scorer_lists
from dch.state.item_columns import precedence_of
from tests.dch.experiments.baselines.blocks import two_blocks


def sorted_whole(scores, question, precedence, k):
    """Return the k best candidates of each user by a full sort by score and precedence."""
    lists = []
    for i, user in enumerate(question.users):
        taken = set(question.given.columns[slice(*question.given.starts[i : i + 2])].tolist())
        free = [row for row in np.flatnonzero(question.candidates).tolist() if row not in taken]
        scored = [row for row in free if scores[user, row] > -np.inf]
        ranked = sorted(scored, key=lambda row: (-scores[user, row], -precedence[row]))
        popular = sorted(free, key=lambda row: -precedence[row])
        lists.append(([*(ranked or popular), *[-1] * k])[:k])
    return lists


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), block=st.integers(1, 60))
def test_each_list_is_the_head_of_a_full_sort(in_blocks_of, seed, k, block):
    in_blocks_of(block)
    rng = np.random.default_rng(seed)
    n_users, n_items = rng.integers(1, 9), rng.integers(1, 11)
    scores = rng.choice(np.array([-np.inf, -1, 0, 0.5, 3], np.float32), (n_users, n_items))
    scores[rng.random(n_users) < 0.2] = -np.inf
    users = np.flatnonzero(rng.random(n_users) < 0.8).astype(np.int32)
    taken = [np.flatnonzero(rng.random(n_items) < 0.3) for _ in users]
    starts = np.cumsum([0, *map(len, taken)]).astype(np.int64)
    given_sets = ItemSets(starts, np.concatenate([[], *taken]).astype(np.int32))
    question = RankingTask(users, given_sets, rng.random(n_items) < 0.8, given_sets)
    precedence = rng.permutation(n_items).astype(np.int64)
    found = scorer_lists(lambda rows: scores[rows], question, precedence=precedence, k=k)
    assert found.tolist() == sorted_whole(scores, question, precedence, k)


@pytest.fixture(scope="module")
def in_blocks_of():
    """Return a function that sets the number of scores per block until the end of the module."""
    before = module.BLOCK
    yield lambda block: setattr(module, "BLOCK", block)
    module.BLOCK = before


def test_precedence_counts_only_positive_ratings():
    ratings = two_blocks()
    found = precedences(ratings, 4.0)
    for row, id_ in enumerate(ratings.item_ids):
        count = int(((ratings.items == row) & (ratings.values >= 4)).sum())
        assert found[row] == precedence_of(id_, count)


def test_a_method_that_scores_no_candidate_cannot_rank():
    ratings = two_blocks()
    everyone, items = np.ones(ratings.n_users, np.bool_), np.arange(ratings.n_items) < 3
    question = make_task(everyone, items, given=[ratings.subset(np.arange(0))], test=ratings, relevant_from=4)
    scores = np.zeros((ratings.n_users, ratings.n_items), np.float32)
    assert can_rank(lambda rows: scores[rows], question)
    scores[:, :3] = -np.inf
    assert not can_rank(lambda rows: scores[rows], question)
