"""Lists with neighbours: against a slow implementation, and equal for equal histories to the bit."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import item_codes, random_model, random_neighbours, weighted_hamming

from dch import Recommender
from dch.config import MAX_VECTOR_SIZE
from dch.data.ids import IdTable
from dch.data.ratings import ItemSets
from dch.evaluation.ranked_lists import RankingTask, make_lists
from dch.models.neighbours import LATEST, MAX_STEPS, NO_NEIGHBOURS, RATING_STEPS
from dch.queries import query_item, query_user
from dch.questions import STRATEGIES
from dch.search import CANDIDATES
from dch.search import neighbour_scores as neighbours_of_lists
from dch.search.neighbour_scores import FIXED, LARGEST_PART, LARGEST_WEIGHT, factor_of
from dch.search.scores import LARGEST_QUERY, round_query

N_FITTED, N_ITEMS = 30, 40
"""Items of the fit, and items that are met later."""

STRATEGY = "codes+rerank+neighbours"
MODEL = random_model(
    n_items=N_FITTED, n_users=9, bits=16, neighbours=random_neighbours(N_FITTED, 5, share=3e-6)
)
WEIGHTED = replace(MODEL, settings={**MODEL.settings, "relaxed_users": True})
MODELS = st.sampled_from([MODEL, WEIGHTED])
EVENT = st.tuples(st.integers(0, 8), st.integers(0, N_ITEMS - 1), st.sampled_from([1.0, 3.5, 5.0, np.nan]))


def filled(events=(), model=MODEL, order=None):
    """Return a recommender in which every item has a code, with its items met in some order."""
    recommender = Recommender(model)
    for item in order if order is not None else range(N_ITEMS):
        recommender.fold_in(f"u{item % 9}", f"i{item}", 3.0 + item % 3, 1)
    for user, item, rating in events:
        recommender.fold_in(f"u{user}", f"i{item}", rating, 2)
    return recommender


def scores_of(recommender, user):
    """Return the score of each item with a code, by id, computed in Python integers."""
    model, state = recommender.model, recommender.state
    query, columns = query_user(state, user), state.snapshot.item_index.view()
    row = state.history.user_ids.row(user)
    rounded = np.empty(len(query.vector), np.int16)
    step = round_query(query.vector, rounded)
    history = {}
    for other, rating in zip(*state.history.user_histories.of(row), strict=True):
        fitted = model.item_ids.row(state.history.item_ids[int(other)])
        weight = float(np.interp(rating, *model.rating_knots.T))
        if fitted >= 0 and weight > 0:
            history[fitted] = round(weight * RATING_STEPS)
    neighbours, sums = model.neighbours, {}
    for source, weight in history.items():
        for at in range(neighbours.starts[source], neighbours.starts[source + 1]):
            item = int(neighbours.items[at])
            value = weight * int(neighbours.weights[at]) * int(neighbours.scales[item])
            sums[item] = sums.get(item, 0) + value
    size = np.sqrt(np.float64(sum(weight**2 for weight in history.values())))
    factor = int(np.rint(FIXED * (np.float32(neighbours.share[0]) / size) / step))
    assert factor > 100  # otherwise the neighbours count for nothing here
    scores, by_vectors = {}, {}
    for item, id_ in enumerate(state.history.item_ids):
        product = sum(int(a) * int(b) for a, b in zip(columns.vectors[item], rounded, strict=True))
        total = FIXED * product + factor * sums.get(int(model.item_ids.row(id_)), 0)
        scores[id_] = np.float32(total) * (step / np.float32(FIXED))
        by_vectors[id_] = np.float32(product) * step
    return scores, by_vectors, sums


def in_place(without, order):
    """Return pairs: an item of the list, and whose score it has.

    Items of ``without`` that ``order`` lacks keep their positions.
    """
    listed, rest = [], list(order)
    for item in without:
        if item in order:
            listed.append((rest[0], rest.pop(0)))
        else:
            listed.append((item, rest[0] if rest else None))
    listed += [(item, item) for item in rest]
    last = order[-1] if order else None
    return [(item, of if of is not None else last or item) for item, of in listed]


def expected(recommender, user, k, n_candidates):
    """Return (item, distance, score) of the list, by sorting all items.

    An item for which no weight speaks is where it would be without neighbours.
    """
    state = recommender.state
    index, ids = state.snapshot.item_index.view(), state.history.item_ids
    scores, by_vectors, sums = scores_of(recommender, user)
    code = np.frombuffer(recommender.user_code(user), np.uint8)
    own = state.snapshot.item_index.view().words.view(np.uint8).reshape(len(index.words), -1)[:, : len(code)]
    distances = np.unpackbits(own ^ code, axis=1).sum(axis=1)
    if recommender.model.is_weighted:
        distances = weighted_hamming(own, query_user(state, user).relaxed)
    distance = {id_: int(distances[row]) for row, id_ in enumerate(ids)}
    precedence = {id_: int(index.precedence[row]) for row, id_ in enumerate(ids)}
    seen = {ids[int(row)] for row in state.history.user_histories.of(state.history.user_ids.row(user))[0]}
    listed = [id_ for row, id_ in enumerate(ids) if index.allowed[row] and id_ not in seen]
    nearest = sorted(listed, key=lambda id_: (distance[id_], -precedence[id_]))[: max(k, n_candidates)]
    fitted, scales = recommender.model.item_ids, recommender.model.neighbours.scales
    strong = [id_ for id_ in listed if sums.get(int(fitted.row(id_)), 0) > 0]
    strong.sort(key=lambda id_: (-np.float32(sums[int(fitted.row(id_))]), -precedence[id_]))
    union = {*nearest, *strong[: max(k, n_candidates)]}
    spoken_for = [id_ for id_ in union if fitted.row(id_) >= 0 and scales[fitted.row(id_)]]
    order = sorted(spoken_for, key=lambda id_: (-scores[id_], distance[id_], -precedence[id_]))
    without = sorted(nearest, key=lambda id_: (-by_vectors[id_], distance[id_], -precedence[id_]))
    return [(id_, distance[id_], float(scores[of])) for id_, of in in_place(without, order)[:k]]


@given(st.lists(EVENT, max_size=40), st.integers(1, 12), MODELS)
def test_a_list_is_that_of_sorting_all_candidates(events, k, model):
    recommender = filled(events, model)
    for user in ("u0", "u3"):
        if recommender.user_code(user) is not None:
            hits = recommender.recommend(user, k)
            assert [hit[:3] for hit in hits] == expected(recommender, user, k, CANDIDATES)


@given(st.lists(EVENT, max_size=40), st.integers(1, 6), MODELS)
def test_neighbours_are_listed_although_their_codes_are_far(events, k, model):
    """With 3 candidates of each kind, most of the list depends on where candidates come from."""
    recommender = filled(events, model)
    with patch("dch.questions.CANDIDATES", 3), patch.object(neighbours_of_lists, "CANDIDATES", 3):
        for user in ("u0", "u3"):
            if recommender.user_code(user) is not None:
                hits = recommender.recommend(user, k)
                assert [hit[:3] for hit in hits] == expected(recommender, user, k, 3)


@pytest.mark.parametrize("model", [MODEL, WEIGHTED], ids=["plain", "weighted"])
@pytest.mark.parametrize("strategy", [STRATEGY, "codes+rerank", "codes-weighted", "codes"])
def test_live_folded_loaded_inline_and_batched_lists_are_equal(model, strategy, tmp_path):
    rng = np.random.default_rng(5)
    events = [
        (int(user), int(item), float(rating))
        for user, item, rating in zip(
            rng.integers(0, 3, 30), rng.integers(0, N_ITEMS, 30), rng.choice([1.0, 3.5, 5.0], 30), strict=True
        )
    ]
    latest = {(user, item): rating for user, item, rating in events}
    live = filled(events, model)
    shuffled = [(user, item, rating) for (user, item), rating in latest.items()]
    rng.shuffle(shuffled)
    folded = filled(
        [(int(user), int(item), float(rating)) for user, item, rating in shuffled],
        model,
        order=rng.permutation(N_ITEMS).tolist(),
    )
    live.save(tmp_path / "saved")
    loaded = Recommender.load(tmp_path / "saved")
    state, ids = live.state, live.state.history.item_ids
    users = np.array([state.history.user_ids.row(f"u{user}") for user in range(3)], np.int32)
    seen = ItemSets.of([state.history.user_histories.of(int(user))[0] for user in users])
    everything = np.ones(N_ITEMS, np.bool_)
    task = RankingTask(users, seen, everything, ItemSets.of([seen.columns[:0]] * 3))
    batched = make_lists(state, task, k=10, n_threads=1)[strategy]
    for user in range(3):
        hits = live.recommend(f"u{user}", 10, strategy=strategy)
        assert hits == folded.recommend(f"u{user}", 10, strategy=strategy)
        assert hits == loaded.recommend(f"u{user}", 10, strategy=strategy)
        assert [ids[row] for row in batched[user].tolist()] == [hit.item for hit in hits]
        history = [
            (ids[int(item)], float(rating))
            for item, rating in zip(*state.history.user_histories.of(int(users[user])), strict=True)
        ]
        assert live.recommend_history(history, 10, strategy=strategy) == hits


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_a_list_of_all_items_is_asked_for_by_any_large_number(strategy):
    recommender = filled()
    for share in (0.0, 0.1):
        everything = recommender.recommend("u2", N_ITEMS, strategy=strategy, new_item_share=share)
        assert recommender.recommend("u2", 10**10, strategy=strategy, new_item_share=share) == everything


def test_the_strategy_is_named_and_is_the_default():
    with_them, without = filled(), filled(model=random_model(n_items=N_FITTED, n_users=9, bits=16))
    query = query_user(with_them.state, "u1")
    assert with_them.answer(query, 5).strategy == STRATEGY
    assert with_them.answer(query, 5) == with_them.answer(query, 5, strategy=STRATEGY)
    assert with_them.recommend("u1", 5) != with_them.recommend("u1", 5, strategy="codes+rerank")
    query = query_user(without.state, "u1")
    assert without.answer(query, 5).strategy == "codes+rerank"
    assert without.answer(query, 5) == without.answer(query, 5, strategy=STRATEGY)
    assert with_them.recommend("a stranger", 3) == with_them.recommend("a stranger", 3, strategy="popular")


@pytest.mark.parametrize("strategy", ["codes", "codes+rerank", "popular"])
def test_other_strategies_do_not_depend_on_neighbours(strategy):
    with_them, without = filled(), filled(model=random_model(n_items=N_FITTED, n_users=9, bits=16))
    for user in ("u0", "u5", "a stranger"):
        lists = [one.recommend(user, 9, strategy=strategy) for one in (with_them, without)]
        assert lists[0] == lists[1]


@pytest.mark.parametrize("n_candidates", [CANDIDATES, 4])
def test_similar_items_are_those_that_a_rating_speaks_for_then_the_nearest_codes(n_candidates):
    recommender = filled()
    state, neighbours, fitted = recommender.state, recommender.model.neighbours, recommender.model.item_ids
    index, codes = state.snapshot.item_index.view(), item_codes(state)
    ids = list(state.history.item_ids)
    precedence = {id_: int(index.precedence[row]) for row, id_ in enumerate(ids)}
    for item in ("i3", "i17"):
        near = {
            id_: (np.frombuffer(code, np.uint8) ^ np.frombuffer(codes[item], np.uint8))
            for id_, code in codes.items()
        }
        distance = {id_: int(np.unpackbits(bits).sum()) for id_, bits in near.items() if id_ != item}
        score = dict.fromkeys(distance, 0.0)
        for at in range(*neighbours.starts[fitted.row(item) : fitted.row(item) + 2]):
            other = int(neighbours.items[at])
            score[fitted[other]] = (
                int(neighbours.weights[at]) * int(neighbours.scales[other]) / LARGEST_WEIGHT
            )
        nearest = sorted(distance, key=lambda id_: (distance[id_], -precedence[id_]))[:n_candidates]
        strong = sorted(
            (id_ for id_ in score if score[id_] > 0), key=lambda id_: (-score[id_], -precedence[id_])
        )
        union = {*nearest, *strong[:n_candidates]}
        spoken_for = [id_ for id_ in union if fitted.row(id_) >= 0 and neighbours.scales[fitted.row(id_)]]
        order = sorted(spoken_for, key=lambda id_: (-score[id_], distance[id_], -precedence[id_]))
        order, whose = zip(*in_place(nearest, order), strict=True)
        with (
            patch("dch.questions.CANDIDATES", n_candidates),
            patch.object(neighbours_of_lists, "CANDIDATES", n_candidates),
        ):
            hits = recommender.similar_items(item, 4)
        assert [hit.item for hit in hits] == list(order[:4])
        assert [hit.distance for hit in hits] == [distance[id_] for id_ in order[:4]]
        assert [hit.score for hit in hits] == pytest.approx([score[id_] for id_ in whose[:4]], rel=1e-6)
        assert hits[0].score > 0


@pytest.mark.parametrize(("neighbours", "item"), [(NO_NEIGHBOURS, "i3"), (MODEL.neighbours, "i35")])
def test_without_neighbours_or_for_an_item_that_the_fit_never_saw_the_nearest_codes_are_similar(
    neighbours, item
):
    recommender = filled(model=replace(MODEL, neighbours=neighbours))
    by_codes = recommender.answer(query_item(recommender.state, item), 9, strategy="codes")
    assert recommender.similar_items(item, 9) == by_codes.hits


def test_a_hidden_item_is_not_similar_to_any():
    recommender = filled()
    strongest = recommender.similar_items("i3", 3)
    recommender.state.set_item(strongest[0].item, {"available": False})
    recommender.state.refresh_items()
    similar = [hit.item for hit in recommender.similar_items("i3", N_ITEMS)]
    assert strongest[0].item not in similar
    assert {hit.item for hit in strongest[1:]} <= set(similar)


def test_a_user_whose_ratings_have_no_neighbours_gets_the_scores_of_the_ranking_vectors():
    alone = random_neighbours(N_FITTED, 5)
    alone = alone._replace(weights=np.zeros_like(alone.weights), share=np.ones(1, np.float32))
    model = random_model(n_items=N_FITTED, n_users=9, bits=16, neighbours=alone)
    recommender = filled(model=model)
    assert recommender.recommend("u1", 9) == recommender.recommend("u1", 9, strategy="codes+rerank")


def test_an_item_that_is_hidden_or_removed_after_the_fit_is_never_listed():
    recommender = filled()
    strongest = recommender.recommend("u2", 3)
    recommender.state.set_item(strongest[0].item, {"available": False})
    recommender.state.set_item(strongest[1].item, None, 10)
    recommender.state.refresh_items()
    listed = {hit.item for hit in recommender.recommend("u2", N_ITEMS)}
    assert listed.isdisjoint({strongest[0].item, strongest[1].item})
    assert strongest[2].item in listed
    excluded = recommender.recommend("u2", N_ITEMS, exclude=[strongest[2].item])
    assert strongest[2].item not in {hit.item for hit in excluded}


def fitted(hits):
    """Return the hits of items that the fit knew."""
    return [hit for hit in hits if int(hit.item[1:]) < N_FITTED]


def test_a_list_of_chosen_items_has_those_of_the_fit_in_the_order_of_the_whole_list():
    recommender = filled()
    chosen = {f"i{item}" for item in range(0, N_ITEMS, 3)}
    everything = recommender.recommend("u2", N_ITEMS)
    hits = recommender.recommend("u2", N_ITEMS, only=chosen)
    assert {hit.item for hit in hits} == {hit.item for hit in everything} & chosen
    assert fitted(hits) == [hit for hit in fitted(everything) if hit.item in chosen]


@given(st.lists(EVENT, max_size=40), st.integers(1, N_ITEMS), MODELS, st.sampled_from([1, 2, 3]))
def test_an_item_that_is_newer_than_the_fit_keeps_the_position_that_it_has_without_neighbours(
    events, k, model, step
):
    recommender = filled(events, model)
    only = {f"i{item}" for item in range(0, N_ITEMS, step)}
    for user in ("u0", "u3"):
        with_them = recommender.recommend(user, k, only=only)
        without = recommender.recommend(user, k, only=only, strategy="codes+rerank")
        new = [(at, hit.item) for at, hit in enumerate(without) if hit not in fitted(without)]
        assert [(at, hit.item) for at, hit in enumerate(with_them) if hit not in fitted(with_them)] == new


def test_answers_of_several_questions_are_those_of_each():
    recommender = filled([(user, item, 5.0) for user in range(4) for item in range(user, N_ITEMS, 7)])
    queries = [query_user(recommender.state, f"u{user}") for user in range(4)]
    asked = [recommender.question(query, 7) for query in queries]
    together = recommender.answer_all(asked)
    assert together == [recommender.answer(query, 7) for query in queries]
    assert {one.strategy for one in together} == {STRATEGY}


def test_new_items_keep_their_reserved_positions():
    recommender = filled()
    hits = recommender.recommend("u2", 6, new_item_share=0.5)
    new = {f"i{item}" for item in range(N_FITTED, N_ITEMS)}
    assert sum(hit.item in new for hit in hits) >= 3
    assert hits == sorted(hits, key=lambda hit: -hit.score)
    assert fitted(hits) == fitted(recommender.recommend("u2", N_ITEMS))[: len(fitted(hits))]
    best = recommender.recommend("u2", 3, only=new, strategy="codes+rerank")
    assert {hit.item for hit in best} <= {hit.item for hit in hits}


def test_of_a_long_history_the_latest_ratings_count_whatever_order_they_arrived_in():
    n = LATEST + 60
    model = random_model(n_items=n + 20, n_users=9, bits=16, neighbours=random_neighbours(n + 20, 5))
    events = [("u0", f"i{item}", 4.0, 1 + item // 7) for item in range(n)]
    recommenders = []
    for order in (events, events[::-1]):
        recommender = Recommender(model)
        recommender.fold_in("u1", "i0", 5.0, 1)
        for event in order:
            recommender.fold_in(*event)
        for item in range(n, n + 20):
            recommender.fold_in("u2", f"i{item}", 5.0, 1)
        recommenders.append(recommender)
    one, other = (query_user(each.state, "u0").rated for each in recommenders)
    assert len(one.items) == LATEST
    assert sorted(one.items.tolist()) == sorted(other.items.tolist())
    surely_left_out = {item for item in range(n) if 1 + item // 7 < 1 + (n - LATEST) // 7}
    assert surely_left_out.isdisjoint(one.items.tolist())
    assert recommenders[0].recommend("u0", 10) == recommenders[1].recommend("u0", 10)


def test_an_update_that_adds_items_keeps_the_neighbours():
    """The rows of a model's items never change in an update; new ones come last and have no neighbours."""
    tower = MODEL.user_tower
    bag = np.concatenate([tower.bag, np.ones((1, tower.hidden), np.float32)])
    larger = replace(
        MODEL,
        generation=2,
        item_ids=IdTable([*MODEL.item_ids, "i39"]),
        user_tower=replace(tower, bag=bag),
    )
    recommender = filled(model=larger)
    assert len(recommender.recommend("u3", 10)) == 10


@pytest.mark.parametrize("weight", [1, RATING_STEPS, MAX_STEPS])
@pytest.mark.parametrize("n", [1, LATEST])
def test_the_largest_score_fits_in_63_bits(weight, n):
    factor = factor_of(np.float32(1e9), np.full(n, weight, np.int64), np.float32(1e-6))
    largest_of_vectors = FIXED * 128 * MAX_VECTOR_SIZE * LARGEST_QUERY
    assert factor * n * weight * LARGEST_WEIGHT > LARGEST_PART // 2
    assert factor * n * weight * LARGEST_WEIGHT + largest_of_vectors < 2**63


def test_a_task_of_nobody_has_no_lists():
    recommender = filled()
    nobody = np.empty(0, np.int32)
    empty = ItemSets.of([])
    task = RankingTask(nobody, empty, np.ones(N_ITEMS, np.bool_), empty)
    assert make_lists(recommender.state, task)[STRATEGY].shape == (0, 20)
