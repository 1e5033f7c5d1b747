"""Compare lists for many users at once with single answers of the recommender."""

import numpy as np
import pytest

from dch.config import DchConfig
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.ranked_lists import RankingTask, make_lists, make_task, measure_lists, rated_items
from dch.recommender import Recommender
from tests.dch.evaluation.stand_in import fit_with_neighbours, random_fit, random_ratings, with_lifts


@pytest.mark.parametrize("bits", [8, 64, 72])
@pytest.mark.parametrize(("k", "share"), [(1, 0), (5, 0), (30, 0), (1, 0.1), (5, 0.5), (5, 1.0), (30, 0.3)])
def test_each_list_equals_the_answer_of_the_recommender(bits, k, share):
    ratings = random_ratings(user_features={"nothing known": {}, "known": {"age": 25}, "u3": {"age": 25}})
    old = ratings.subset(np.flatnonzero(ratings.items[:100] % 2))  # half of the items are new
    model = with_lifts(random_fit(old, DchConfig(bits=bits, hidden=bits)))
    recommender = Recommender(model, new_item_share=share)
    recommender.state = serve(recommender.model, ratings)
    candidates = np.arange(ratings.n_items) % 3 > 0
    only = [item for item, may in zip(ratings.item_ids, candidates, strict=True) if may]
    users = np.arange(ratings.n_users, dtype=np.int32)
    task = RankingTask(users, rated_items(users, [ratings]), candidates, rated_items(users, [ratings]))
    for strategy, ranked in make_lists(
        recommender.state, task, k=k, n_threads=2, new_item_share=share
    ).items():
        for user, rows in zip(ratings.user_ids, ranked, strict=True):
            hits = recommender.recommend(user, k, strategy=strategy, only=only)
            assert [ratings.item_ids[row] for row in rows if row >= 0] == [hit.item for hit in hits]


@pytest.mark.parametrize(("k", "share"), [(5, 0), (5, 0.1), (5, 0.5), (5, 1.0), (20, 0.05), (30, 0.3)])
def test_lists_with_neighbours_and_reserved_positions_equal_the_answers_of_the_recommender(k, share):
    ratings = random_ratings(700, n_users=12, n_items=60)
    old = ratings.subset(np.flatnonzero(ratings.items[:400] % 3))  # a third of the items are new
    recommender = Recommender(fit_with_neighbours(old, DchConfig(bits=16, hidden=16)), new_item_share=share)
    recommender.state = serve(recommender.model, ratings)
    candidates = np.arange(ratings.n_items) % 5 > 0
    only = [item for item, may in zip(ratings.item_ids, candidates, strict=True) if may]
    users = np.arange(ratings.n_users, dtype=np.int32)
    task = RankingTask(users, rated_items(users, [ratings]), candidates, rated_items(users, [ratings]))
    lists = make_lists(recommender.state, task, k=k, n_threads=2, new_item_share=share)
    assert "codes+rerank+neighbours" in lists
    for strategy, ranked in lists.items():
        for user, rows in zip(ratings.user_ids, ranked, strict=True):
            hits = recommender.recommend(user, k, strategy=strategy, only=only)
            assert [ratings.item_ids[row] for row in rows if row >= 0] == [hit.item for hit in hits]
    differ = lists["codes+rerank+neighbours"] != lists["codes+rerank"]
    assert differ.any() or share == 1


def test_a_task_has_only_users_with_a_relevant_item():
    ratings = random_ratings(80)
    users, items = np.arange(ratings.n_users) % 2 == 0, np.ones(ratings.n_items, np.bool_)
    given, test = ratings.subset(np.arange(40)), ratings.subset(np.arange(40, len(ratings)))
    task = make_task(users, items, given=[given, given], test=test, relevant_from=4)
    expected = {}
    for user, item, value in zip(test.users.tolist(), test.items.tolist(), test.values, strict=True):
        if value >= 4 and users[user]:
            expected.setdefault(user, set()).add(item)
    assert task.users.tolist() == sorted(expected)
    for i, user in enumerate(task.users):
        block = slice(*task.relevant.starts[i : i + 2])
        assert set(task.relevant.columns[block]) == expected[user]
        block = slice(*task.given.starts[i : i + 2])
        assert task.given.columns[block].tolist() == sorted(given.items[given.users == user])


def test_a_perfect_list_measures_one_and_an_empty_task_measures_nothing():
    ratings = random_ratings(20)
    nothing = ratings.subset(np.zeros(len(ratings), np.bool_))
    everyone, items = np.ones(ratings.n_users, np.bool_), np.ones(ratings.n_items, np.bool_)
    task = make_task(everyone, items, given=[nothing], test=ratings, relevant_from=1)
    perfect = np.full((len(task.users), 20), -1, np.int32)
    for i, row in enumerate(perfect):
        relevant = task.relevant.columns[slice(*task.relevant.starts[i : i + 2])]
        row[: len(relevant)] = relevant
    values = measure_lists({"codes": perfect}, task, "EUEI")
    assert [value.mean for value in values.values()] == pytest.approx([1, 1, 1])
    no_users = make_task(everyone, items, given=[nothing], test=ratings, relevant_from=6)
    assert measure_lists({"codes": perfect[:0]}, no_users, "EUEI") == {}
