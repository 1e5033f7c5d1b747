"""Reserved positions for new items: the guarantee, and the list against a simple implementation."""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_lifts, random_model, random_neighbours

from dch import Recommender
from dch.errors import ConfigError
from dch.models.neighbours import from_columns
from dch.queries import query_history, query_item, query_user
from dch.questions import STRATEGIES
from dch.search import CANDIDATES, nearest, nearest_of_each
from dch.search.reserved_positions import reserved_positions
from dch.state.item_columns import ItemCodes
from dch.state.popular_items import first_listed

N_OLD, N_NEW = 12, 9  # items that the fit saw, and items that it did not see
SHARES = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 1.0])
EVENT = st.tuples(st.integers(0, 7), st.integers(0, N_OLD + N_NEW - 1), st.sampled_from([1.0, 4.0, 5.0]))
WITH_NEIGHBOURS = "codes+rerank+neighbours"
NEW = {f"i{row}" for row in range(N_OLD, N_OLD + N_NEW)}


def filled(events=(), n_new=N_NEW, bits=8, *, relaxed_users=False, **settings):
    """Return a recommender in which every item has a code."""
    neighbours = random_neighbours(N_OLD, 5, share=3e-6)
    known = {"user_tokens": ["age=25", "age~20", "vip=True"], "lifts": random_lifts(N_OLD)}
    known["relaxed_users"] = relaxed_users
    model = random_model(n_items=N_OLD, bits=bits, neighbours=neighbours, **known)
    recommender = Recommender(model, **settings)
    recommender.state.set_user("u0", {"age": 25})
    recommender.state.set_user("u7", {"age": 25, "vip": True})
    for item in range(N_OLD + n_new):
        recommender.fold_in(f"u{item % 6}", f"i{item}", 3.0 + item % 3, 1)
    for user, item, rating in events:
        recommender.fold_in(f"u{user}", f"i{item}", rating, 2)
    return recommender


def order_of(recommender, strategy):
    """Return the sort key of hits, best first."""
    precedence = recommender.state.snapshot.item_index.view().precedence
    row = recommender.state.history.item_ids.row

    def key(hit):
        own = -int(precedence[row(hit.item)])
        return {
            "codes": (hit.distance, own),
            "codes-weighted": (hit.distance, own),
            "codes+rerank": (-hit.score, hit.distance, own),
            "features": (-hit.score, own),
            "popular": (own,),
        }[strategy]

    return key


def expected(recommender, user, k, strategy, n_positions):
    """Return the usual list with its last old items replaced by the best new ones, sorted again."""
    listed = recommender.recommend(user, k, strategy=strategy, new_item_share=0)
    everything = recommender.recommend(user, 1000, strategy=strategy, new_item_share=0)
    assert len(everything) <= CANDIDATES  # so it holds every item, in order
    items = {hit.item for hit in listed}
    others = [hit for hit in everything if hit.item in NEW and hit.item not in items]
    while sum(hit.item in NEW for hit in listed) < n_positions and others:
        listed.remove([hit for hit in listed if hit.item not in NEW][-1])
        listed.append(others.pop(0))
    used = recommender.answer(query_user(recommender.state, user), k, strategy=strategy).strategy
    return listed if used == WITH_NEIGHBOURS else sorted(listed, key=order_of(recommender, used))


@given(st.lists(EVENT, max_size=30), st.sampled_from(STRATEGIES), st.integers(1, 12), SHARES)
def test_new_items_get_their_positions_and_the_rest_of_the_list_stays(events, strategy, k, share):
    recommender = filled(events)
    for user in ("u0", "u7", "a stranger"):
        hits = recommender.recommend(user, k, strategy=strategy, new_item_share=share)
        n_positions = int(share * k + 0.5)
        seen = {f"i{item}" for by, item, _ in events if f"u{by}" == user}
        seen |= {f"i{item}" for item in range(N_OLD + N_NEW) if f"u{item % 6}" == user}
        assert sum(hit.item in NEW for hit in hits) >= min(n_positions, len(NEW - seen))
        wanted = expected(recommender, user, k, strategy, n_positions)
        if strategy == WITH_NEIGHBOURS:  # here the scores of new items depend on the items beside them
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            hits, wanted = ([(hit.item, hit.distance) for hit in one] for one in (hits, wanted))
        assert hits == wanted


def test_a_small_share_reserves_nothing_in_a_short_list():
    assert [reserved_positions(k, 0.05) for k in (1, 9, 10, 20, 29, 30, 100)] == [0, 0, 1, 1, 1, 2, 5]
    assert [reserved_positions(5, share) for share in (0.0, 0.5, 1.0)] == [0, 3, 5]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_if_there_are_fewer_new_items_than_positions_all_are_listed(strategy):
    recommender = filled(n_new=2)
    hits = recommender.recommend("u5", 10, strategy=strategy, new_item_share=0.5)
    assert len(hits) == 10
    assert {"i12", "i13"} <= {hit.item for hit in hits}


def test_the_share_of_the_recommender_applies_unless_a_request_has_its_own():
    recommender = filled(new_item_share=0.5)
    assert sum(hit.item in NEW for hit in recommender.recommend("u0", 4)) >= 2
    assert recommender.recommend("u0", 4) == recommender.recommend("u0", 4, new_item_share=0.5)
    assert recommender.recommend("u0", 4, new_item_share=0) == filled().recommend("u0", 4)
    assert sum(hit.item in NEW for hit in recommender.recommend_history([("i1", 5.0)], 4)) >= 2


def test_reserved_positions_hold_no_unavailable_excluded_or_unchosen_items():
    recommender = filled(new_item_share=1.0)
    recommender.state.set_item("i12", {"available": False})
    recommender.state.refresh_items()
    only = ["i1", "i2", "i12", "i13", "i14"]
    listed = [hit.item for hit in recommender.recommend("u5", 5, only=only, exclude=["i13"])]
    assert sorted(listed) == ["i1", "i14", "i2"]


def test_similar_items_do_not_depend_on_the_share():
    assert filled(new_item_share=1.0).similar_items("i1", 5) == filled().similar_items("i1", 5)


def test_an_item_is_new_until_a_generation_is_fitted_on_it():
    recommender = filled(new_item_share=1.0)
    assert {hit.item for hit in recommender.recommend("u0", 3)} <= NEW
    refitted = random_model(n_items=N_OLD + N_NEW, bits=8, generation=2)
    recommender.swap(recommender.state.prepare(refitted))
    assert not recommender.state.snapshot.item_index.view().is_new.any()
    recommender.fold_in("u1", "a new item", 5.0)
    row = recommender.state.history.item_ids.row("a new item")
    assert np.flatnonzero(recommender.state.snapshot.item_index.view().is_new).tolist() == [row]


def test_an_item_has_no_heavy_bits_so_its_nearest_codes_are_the_plain_ones():
    recommender = filled(relaxed_users=True)
    query = query_item(recommender.state, "i1")
    weighted, plain = (recommender.answer(query, 9, strategy=name) for name in ("codes-weighted", "codes"))
    assert weighted == plain
    assert weighted.strategy == "codes"
    reranked = recommender.answer(query, 9, strategy="codes+rerank").hits
    assert [hit.distance for hit in reranked] == [hit.distance for hit in plain.hits]
    assert [hit.score for hit in plain.hits] == [8 - 2 * hit.distance for hit in plain.hits]


@pytest.mark.parametrize(
    "share", [-0.1, 1.1, float("nan"), "0.1", "x", [0.1], 1j, True, np.array([0.1, 0.2])]
)
def test_a_share_that_is_no_number_from_0_to_1_is_refused(share):
    refused = pytest.raises(ConfigError, match="new_item_share must be from 0 to 1, got")
    with refused:
        filled().recommend("u0", new_item_share=share)
    with refused:
        filled().answer(query_item(filled().state, "i0"), 5, new_item_share=share)
    with refused:
        Recommender(random_model(), new_item_share=share)
    recommender = filled()
    recommender.new_item_share = share
    with refused:
        recommender.recommend("u0")


def test_the_share_of_a_recommender_is_no_none_and_may_be_of_numpy():
    with pytest.raises(ConfigError, match="new_item_share must be from 0 to 1, got None"):
        Recommender(random_model(), new_item_share=None)
    half = np.float32(0.5)
    assert filled(new_item_share=half).recommend("u0", 4) == filled(new_item_share=0.5).recommend("u0", 4)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u0", "u9", "a stranger"]),
        st.integers(0, N_OLD + N_NEW - 1),
        st.sampled_from([1.0, 5.0, float("nan")]),
        st.integers(1, 3),
    ),
    max_size=20,
)


@given(EVENTS, st.sampled_from(STRATEGIES))
def test_an_answer_says_how_many_live_ratings_of_the_user_it_rests_on(events, strategy):
    recommender, latest = Recommender(random_model(n_items=N_OLD, bits=8)), {}
    for user, item, rating, timestamp in events:
        recommender.fold_in(user, f"i{item}", rating, timestamp)
        if timestamp >= latest.get((user, item), (0, 0))[0]:
            latest[user, item] = (timestamp, rating)
    for user in ("u0", "u9", "a stranger", "never met"):
        expected = sum(by == user and not np.isnan(rating) for (by, _), (_, rating) in latest.items())
        query = query_user(recommender.state, user)
        assert query.ratings == recommender.answer(query, 3, strategy=strategy).ratings == expected


def test_ratings_that_the_model_cannot_read_count_too():
    recommender = Recommender(random_model(n_items=N_OLD, bits=8))
    recommender.fold_in("new", "an item that no fit saw", 5.0)
    found = recommender.answer(query_user(recommender.state, "new"), 3)
    assert (found.strategy, found.code, found.ratings) == ("popular", None, 1)


def test_a_rating_that_changes_no_bit_is_counted():
    recommender = filled()
    before = query_user(recommender.state, "u0")
    recommender.fold_in("u0", "another item that no fit saw", 5.0, 3)
    after = query_user(recommender.state, "u0")
    assert (after.code, after.ratings) == (before.code, before.ratings + 1)


def test_forgetting_a_user_leaves_no_ratings():
    recommender = filled()
    assert query_user(recommender.state, "u0").ratings > 0
    recommender.state.set_user("u0", None, 10)
    assert query_user(recommender.state, "u0").ratings == 0


def test_an_inline_history_counts_its_items_and_an_item_counts_nothing():
    recommender = filled()
    history = [("i1", 1.0), ("i1", 5.0), ("never heard of", 5.0)]
    assert query_history(recommender.state, history).ratings == 2
    assert query_history(recommender.state, history[2:]).ratings == 1
    assert query_history(recommender.state, []).ratings == 0
    assert query_item(recommender.state, "i1").ratings is None


@given(
    st.lists(EVENT, max_size=20),
    st.lists(st.integers(0, N_OLD + N_NEW + 2), max_size=12),
    st.sampled_from([one for one in STRATEGIES if one != WITH_NEIGHBOURS]),
    st.integers(1, 6),
    st.booleans(),
)
def test_a_list_of_chosen_items_is_the_whole_list_without_the_others(
    events, chosen, strategy, k, relaxed_users
):
    recommender, only = filled(events, relaxed_users=relaxed_users), [f"i{item}" for item in chosen]
    for user in ("u0", "u7", "a stranger"):
        everything = recommender.recommend(user, 1000, strategy=strategy)
        expected = [hit for hit in everything if hit.item in only][:k]
        assert recommender.recommend(user, k, strategy=strategy, only=only) == expected


@pytest.mark.parametrize("strategy", ["codes+rerank", "codes"])
def test_a_list_of_chosen_items_compares_their_codes_only(strategy, monkeypatch):
    recommender, compared = filled(), []

    def spy(words, *arguments, **options):
        compared.append(len(words))
        return nearest(words, *arguments, **options)

    monkeypatch.setattr("dch.lists.nearest", spy)
    monkeypatch.setattr("dch.lists.nearest_of_each", lambda *_, **__: pytest.fail("searched all codes"))
    assert len(recommender.recommend("u0", 5, strategy=strategy, only=["i1", "i2", "i14"])) == 3
    assert compared == [3]


@given(st.lists(EVENT, max_size=20), st.lists(st.sampled_from(STRATEGIES), max_size=6), SHARES, st.booleans())
def test_questions_answered_together_get_the_answers_that_each_gets_alone(
    events, strategies, share, relaxed_users
):
    recommender = filled(events, relaxed_users=relaxed_users)
    questions = [
        recommender.question(
            query_user(recommender.state, f"u{at}"),
            1 + 2 * at,
            strategy=strategy,
            exclude=[f"i{at}"],
            only=["i1", "i2"] if at == 3 else None,
            new_item_share=share if at % 2 else None,
        )
        for at, strategy in enumerate(strategies)
    ]
    alone = [recommender.answer_all([question])[0] for question in questions]
    assert recommender.answer_all(questions) == alone


def test_questions_about_two_generations_are_each_answered_from_their_own():
    recommender = filled()
    before = query_user(recommender.state, "u1")
    recommender.swap(recommender.state.prepare(random_model(n_items=N_OLD, bits=8, generation=2, seed=5)))
    after = query_user(recommender.state, "u1")
    queries = [after, before, after]
    together = recommender.answer_all([recommender.question(query, 5) for query in queries])
    assert together == [recommender.answer(query, 5) for query in queries]
    assert [found.generation for found in together] == [2, 1, 2]


@given(st.lists(EVENT, max_size=20), st.sampled_from([0.05, 0.5, 1.0]), st.integers(1, 12), st.booleans())
def test_new_items_are_searched_once_for_all_lists_that_lack_them(events, share, k, relaxed_users):
    recommender = filled(events, relaxed_users=relaxed_users)
    users = [user for user in ("u0", "u1", "u2", "u7") if recommender.user_code(user) is not None]
    n_lacking = 0
    for user in users:
        usual = recommender.recommend(user, k, new_item_share=0)
        n_lacking += sum(hit.item in NEW for hit in usual) < reserved_positions(k, share)
    queries = [query_user(recommender.state, user) for user in users]
    alone = [recommender.recommend(user, k, new_item_share=share) for user in users]
    searched = []

    def spy(words, queries, *arguments, **options):
        searched.append((len(words), len(queries)))
        return nearest_of_each(words, queries, *arguments, **options)

    with (
        patch("dch.lists.nearest_of_each", spy),
        patch("dch.lists.first_listed", lambda *_: pytest.fail("looked at items one by one")),
    ):
        answers = recommender.answer_all(
            [recommender.question(query, k, new_item_share=share) for query in queries]
        )
    assert [found.hits for found in answers] == alone
    assert searched == [(N_OLD + N_NEW, len(users))] + [(N_NEW, n_lacking)] * (n_lacking > 0)


@pytest.mark.parametrize("strategy", ["popular", "features"])
def test_a_list_without_a_search_looks_at_all_new_items_only_if_it_lacks_them(strategy):
    recommender = filled()
    usual = recommender.recommend("u7", 12, strategy=strategy, new_item_share=0)
    n_new = sum(hit.item in NEW for hit in usual)
    looked_at = []

    def spy(rows, *arguments):
        looked_at.append(len(rows))
        return first_listed(rows, *arguments)

    with patch("dch.lists.first_listed", spy):
        assert recommender.recommend("u7", 12, strategy=strategy, new_item_share=n_new / 12) == usual
        assert looked_at == [N_OLD + N_NEW]
        recommender.recommend("u7", 12, strategy=strategy, new_item_share=(n_new + 1) / 12)
    assert looked_at[1:] == [N_OLD + N_NEW, N_NEW]


def many_items(n):
    """Return a recommender of n items, half of them new, with neighbours among the others."""
    rng, n_fitted = np.random.default_rng(0), n // 2
    columns = rng.integers(0, n_fitted, (n_fitted, 5)).astype(np.int32)
    weights = rng.random((n_fitted, 5), np.float32)
    model = random_model(n_items=n_fitted, bits=64, neighbours=from_columns(columns, weights, 3e-6))
    recommender = Recommender(model)
    rows = recommender.state.intern_items([f"i{row}" for row in range(n)])
    words = rng.integers(2**64, size=(n, 1), dtype=np.uint64)
    vectors = rng.integers(-9, 9, (n, model.item_tower.vector_size)).astype(np.int8)
    codes = ItemCodes(words, vectors, rows % 100, np.ones(n, np.bool_))
    recommender.state.put_item_codes(rows, codes)
    for item in range(20):
        recommender.fold_in("u0", f"i{item}", 5.0)
    return recommender


def test_a_list_of_chosen_items_takes_little_more_memory_in_a_larger_catalogue():
    peaks = []
    for n in (160_000, 480_000):
        recommender = many_items(n)
        only = [f"i{row}" for row in (30, 31, 40, n // 2 - 1, n // 2, n // 2 + 5, n - 1)]
        options = {"only": only, "new_item_share": 1.0}
        assert len(recommender.recommend("u0", 5, **options)) == 5  # compiles
        tracemalloc.start()
        recommender.recommend("u0", 5, **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The sums of neighbours take the same block in both. One byte for each item would be 320,000 more.
    assert peaks[1] < peaks[0] + 60_000
