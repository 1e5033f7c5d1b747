"""Reasons ("because you rated X"): against slow implementations, and never an item that may not be shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model, random_neighbours

from dch import Recommender
from dch.data.ids import IdTable
from dch.data.ratings import Rows
from dch.models.neighbours import RATING_STEPS
from dch.queries import query_user
from dch.reasons import LEFT_OUT, MAX_REASONS
from dch.search.scores import round_query

N_FITTED, N_ITEMS = 30, 40
"""Items of the fit, and items that are met later."""

CODES_ALONE = random_model(n_items=N_FITTED, n_users=9, bits=16)
MODEL = random_model(
    n_items=N_FITTED, n_users=9, bits=16, neighbours=random_neighbours(N_FITTED, 5, share=3e-6)
)
EVENT = st.tuples(
    st.integers(0, 8),
    st.integers(0, N_ITEMS - 1),
    st.sampled_from([1.0, 3.5, 5.0, np.nan]),
    st.integers(2, 5),
)
EVENTS = st.lists(EVENT, max_size=40)


def filled(events=(), model=MODEL, order=range(N_ITEMS)):
    """Return a recommender in which every item has a code, with its items met in some order."""
    recommender = Recommender(model)
    for item in order:
        recommender.fold_in(f"u{item % 9}", f"i{item}", 3.0 + item % 3, 1)
    for user, item, rating, time in events:
        recommender.fold_in(f"u{user}", f"i{item}", rating, time)
    return recommender


def history_of(recommender, user):
    """Return the live ratings of a user, {item: rating}."""
    state = recommender.state
    items, ratings = state.history.user_histories.of(state.history.user_ids.row(user))
    return {state.history.item_ids[int(item)]: rating for item, rating in zip(items, ratings, strict=True)}


def parts_of_neighbours(recommender, user, listed):
    """Return what each rating adds to the sum of a listed item, in Python integers, {item: part}."""
    model, neighbours, parts = recommender.model, recommender.model.neighbours, {}
    for item, rating in history_of(recommender, user).items():
        source = int(model.item_ids.row(item))
        for at in range(*neighbours.starts[source : source + 2]) if source >= 0 else ():
            if neighbours.items[at] == model.item_ids.row(listed):
                steps = round(float(np.interp(rating, *model.rating_knots.T)) * RATING_STEPS)
                scale = int(neighbours.scales[neighbours.items[at]])
                parts[item] = steps * int(neighbours.weights[at]) * scale
    return parts


def drops_of(recommender, user, listed, *, by_code=False):
    """Return how far the score of a listed item falls without each rating, by encoding each rest."""
    model, state = recommender.model, recommender.state
    history, row = history_of(recommender, user), state.history.item_ids.row(listed)
    columns = state.snapshot.item_index.view()

    def score(rest):
        rows = Rows(
            np.array([0, len(rest)]),
            np.arange(len(rest), dtype=np.int32),
            np.array([*rest.values()], np.float32),
        )
        relaxed, vectors = model.encode_users_with_vectors(rows, IdTable(rest))
        if by_code:
            own = np.unpackbits(columns.words[row].view(np.uint8))[: model.bits]
            return float(np.where(own, 1.0, -1.0) @ relaxed[0].astype(np.float64))
        rounded = np.empty(vectors.shape[1], np.int16)
        step = round_query(vectors[0], rounded)
        product = sum(int(a) * int(b) for a, b in zip(columns.vectors[row], rounded, strict=True))
        return float(np.float32(product) * step)

    whole = score(history)
    return {item: whole - score({one: history[one] for one in history if one != item}) for item in history}


def assert_strongest(because, parts, tolerance):
    """Check that the reasons are the largest of these parts above 0, with their shares of the sum."""
    positive = {item: part for item, part in parts.items() if part > tolerance}
    total = sum(part for part in parts.values() if part > 0)
    assert len(because) <= MAX_REASONS
    assert len(because) >= min(MAX_REASONS, len(positive))
    for reason in because:
        assert abs(parts[reason.item] - reason.share * total) <= tolerance * len(parts)
    shares = [reason.share for reason in because]
    assert shares == sorted(shares, reverse=True)
    named = {reason.item for reason in because}
    left = [part for item, part in positive.items() if item not in named]
    assert not left or min(parts[item] for item in named) >= max(left) - tolerance


def users_with_a_code(recommender):
    return [user for user in ("u0", "u3") if recommender.user_code(user) is not None]


@settings(max_examples=25)
@given(EVENTS)
def test_where_neighbours_speak_reasons_are_the_largest_parts_of_their_sum(events):
    recommender = filled(events)
    for user in users_with_a_code(recommender):
        for hit in recommender.recommend(user, N_ITEMS, explain=True):
            parts = parts_of_neighbours(recommender, user, hit.item)
            if any(part > 0 for part in parts.values()):
                assert_strongest(hit.because, parts, 1)
            else:
                assert_strongest(hit.because, drops_of(recommender, user, hit.item), 1e-3)


@settings(max_examples=25)
@given(EVENTS, st.sampled_from(["codes", "codes-weighted", "codes+rerank"]))
def test_where_only_codes_speak_reasons_are_the_ratings_without_which_the_score_falls_most(events, strategy):
    recommender = filled(events, model=CODES_ALONE)
    for user in users_with_a_code(recommender):
        for hit in recommender.recommend(user, 8, strategy=strategy, explain=True):
            by_code = strategy != "codes+rerank"
            drops = drops_of(recommender, user, hit.item, by_code=by_code)
            assert_strongest(hit.because, drops, 1e-5 if by_code else 1e-3)


@pytest.mark.parametrize("model", [MODEL, CODES_ALONE], ids=["neighbours", "codes alone"])
def test_live_folded_loaded_inline_and_batched_reasons_are_equal(tmp_path, model):
    rng = np.random.default_rng(5)
    events = [
        (int(user), int(item), float(rating), 2 + at)
        for at, (user, item, rating) in enumerate(
            zip(rng.integers(0, 3, 30), rng.integers(0, N_ITEMS, 30), rng.choice([1.0, 5.0], 30), strict=True)
        )
    ]
    live = filled(events, model)
    shuffled = [events[at] for at in rng.permutation(len(events))]
    folded = filled(shuffled, model, rng.permutation(N_ITEMS).tolist())
    live.save(tmp_path / "saved")
    loaded = Recommender.load(tmp_path / "saved")
    users = [f"u{user}" for user in range(3)]
    questions = [live.question(query_user(live.state, user, explain=True), 10) for user in users]
    for user, batched in zip(users, live.answer_all(questions), strict=True):
        hits = live.recommend(user, 10, explain=True)
        assert hits == batched.hits
        assert hits == folded.recommend(user, 10, explain=True) == loaded.recommend(user, 10, explain=True)
        state = live.state
        row = state.history.user_ids.row(user)
        items, ratings, _ = state.history.user_histories.latest_first(row, 99, state.history.item_ids)
        history = [
            (state.history.item_ids[int(item)], rating) for item, rating in zip(items, ratings, strict=True)
        ]
        assert live.recommend_history(history[::-1], 10, explain=True) == hits
        assert any(hit.because for hit in hits)


def test_to_explain_changes_nothing_else():
    recommender = filled()
    for strategy in (None, "codes", "codes-weighted", "codes+rerank", "popular"):
        explained = recommender.recommend("u1", 9, strategy=strategy, explain=True)
        plain = recommender.recommend("u1", 9, strategy=strategy)
        assert [hit._replace(because=()) for hit in explained] == plain
        assert any(hit.because for hit in explained) == (strategy != "popular")
    assert all(hit.because == () for hit in recommender.recommend("a stranger", 3, explain=True))


def named(recommender, user="u1", **options):
    """Return all items that are a reason for any item."""
    hits = recommender.recommend(user, N_ITEMS, explain=True, **options)
    return {reason.item for hit in hits for reason in hit.because}


@pytest.mark.parametrize("model", [MODEL, CODES_ALONE], ids=["neighbours", "codes alone"])
@pytest.mark.parametrize("gone", ["rating", "hidden", "item", "item that came back", "user"])
def test_what_was_withdrawn_hidden_or_forgotten_is_never_a_reason(model, gone):
    recommender = filled([(1, item, 5.0, 3) for item in (2, 5, 7)], model)
    before = named(recommender)
    assert len(before) > 2
    one = sorted(before)[0]
    if gone == "rating":
        recommender.fold_in("u1", one, np.nan, 9)
    elif gone == "hidden":
        recommender.state.set_item(one, {"available": False})
    elif gone == "user":
        recommender.state.set_user("u1", None, 9)
    else:
        recommender.state.set_item(one, None, 9)
    recommender.state.refresh_items()
    if gone == "item that came back":
        recommender.fold_in("u2", one, 5.0, 10)
        assert one in {hit.item for hit in recommender.recommend("u3", N_ITEMS)}
    after = named(recommender)
    assert one not in after
    assert after == set() if gone == "user" else len(after) > 1
    if gone == "item that came back":
        recommender.fold_in("u1", one, 5.0, 11)
        assert one in named(recommender)


def test_a_listed_item_that_is_rated_is_not_its_own_reason():
    recommender = filled([(1, item, 5.0, 3) for item in range(12)], CODES_ALONE)
    hits = recommender.recommend("u1", N_ITEMS, explain=True, include_rated=True)
    assert all(hit.item not in {reason.item for reason in hit.because} for hit in hits)


def test_only_the_latest_ratings_are_left_out_one_by_one():
    n = LEFT_OUT + 30
    recommender = Recommender(random_model(n_items=n + 5, n_users=3))
    for item in range(n + 5):
        recommender.fold_in("u0" if item < n else "u1", f"i{item}", 5.0, 1 + item)
    found = named(recommender, "u0")
    assert found
    assert found <= {f"i{item}" for item in range(n - LEFT_OUT, n)}
