"""The recommender against simple implementations: whole histories at once, and a full sort."""

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import hamming, item_codes, random_model, weighted_hamming

from dch import Ratings, Recommender
from dch.errors import ConfigError, GenerationMismatchError, RatingsError, UnknownIdError
from dch.models.codes import pack, unpack
from dch.queries import query_user
from dch.search.scores import LARGEST_QUERY
from dch.state.item_columns import precedence_of
from dch.state.restore import fold_in_ratings
from dch.state.snapshot import Snapshot

NAN = float("nan")
USERS = [f"u{row}" for row in range(8)]  # u6 and u7 are not in the model
ITEMS = [f"i{row}" for row in range(10)]  # i8 and i9 are not in the model
EVENT = st.tuples(
    st.sampled_from(USERS), st.sampled_from(ITEMS), st.sampled_from([1.0, 3.0, 5.0, NAN]), st.integers(1, 3)
)


def folded(events, model=None):
    recommender = Recommender(model or random_model())
    for user, item, rating, timestamp in events:
        recommender.fold_in(user, item, rating, timestamp)
    return recommender


def ratings_of(events):
    return Ratings.from_events(*(list(column) for column in zip(*events, strict=True)))


def codes_of(recommender):
    return {user: recommender.user_code(user) for user in USERS}, item_codes(recommender.state)


@given(st.lists(EVENT, min_size=1, max_size=30))
def test_folding_in_event_by_event_equals_encoding_the_latest_ratings_at_once(events):
    assert codes_of(folded(events)) == codes_of(Recommender.from_model(random_model(), ratings_of(events)))


@given(st.lists(EVENT, min_size=1, max_size=30))
def test_a_swap_gives_the_codes_of_a_recommender_that_always_had_the_new_generation(events):
    newer = random_model(generation=2, seed=5)
    recommender = folded(events)
    recommender.swap(recommender.state.prepare(newer))
    assert recommender.model.generation == 2
    assert codes_of(recommender) == codes_of(folded(events, newer))


@given(st.lists(EVENT, min_size=1, max_size=30))
def test_user_codes_equal_the_out_of_sample_encoding_of_the_history(events):
    recommender, ratings, model = folded(events), ratings_of(events), random_model()
    relaxed = model.encode_users(ratings.by_user, ratings.item_ids)
    known = set(model.item_ids)
    for row, user in enumerate(ratings.user_ids):
        start, stop = ratings.by_user.starts[row : row + 2]
        history = {ratings.item_ids[item] for item in ratings.by_user.columns[start:stop]}
        expected = pack(relaxed[row : row + 1])[0].tobytes() if history & known else None
        assert recommender.user_code(user) == expected


def positives_of(state, item_row):
    """Return the number of positive ratings of an item, counted in the histories."""
    return int((state.history.item_histories.of(item_row)[1] >= state.snapshot.model.positive_from).sum())


def full_sort(recommender, user, strategy):
    """Return every eligible item, sorted as the strategy is defined."""
    state = recommender.state
    row = np.array([state.history.user_ids.row(user)], np.int32)
    (relaxed,), (vector,) = state.snapshot.users.encode(row)
    whole = np.rint(vector / (np.abs(vector).max(initial=1e-30) / LARGEST_QUERY)).astype(int)
    seen = set(state.history.user_histories.of(int(row[0]))[0].tolist())
    vectors, bits = state.snapshot.item_index.view().vectors, state.snapshot.model.bits
    found = []
    for item, packed in item_codes(state).items():
        item_row = state.history.item_ids.row(item)
        if item_row in seen:
            continue
        code = np.frombuffer(packed, np.uint8)[None]
        distance = int(hamming(code, pack(relaxed[None])[0])[0])
        if strategy == "codes-weighted" or (strategy == "codes+rerank" and state.model.is_weighted):
            distance = int(weighted_hamming(code, relaxed)[0])
        score = float(vectors[item_row].astype(int) @ whole)
        if not len(vector):
            score = float(unpack(code, bits)[0].astype(float) @ relaxed)
        order = -precedence_of(item, positives_of(state, item_row))
        key = (-round(score, 4), distance, order) if strategy == "codes+rerank" else (distance, order)
        found.append((key, item))
    return [item for _, item in sorted(found)]


@given(
    st.lists(EVENT, min_size=1, max_size=40),
    st.sampled_from(["codes", "codes-weighted", "codes+rerank"]),
    st.integers(1, 12),
    st.sampled_from([0, 12]),
    st.booleans(),
)
def test_a_list_is_the_head_of_the_full_sort(events, strategy, k, vector_size, relaxed_users):
    recommender = folded(events, random_model(vector_size=vector_size, relaxed_users=relaxed_users))
    for user in USERS:
        if recommender.user_code(user) is not None:
            hits = recommender.recommend(user, k, strategy=strategy)
            assert [hit.item for hit in hits] == full_sort(recommender, user, strategy)[:k]


EVENTS = [(f"u{row % 6}", f"i{row * 5 % 8}", 1.0 + row % 5, row) for row in range(60)]


def test_rated_excluded_and_unchosen_items_are_never_recommended():
    recommender = folded(EVENTS[:20])
    rated = {item for user, item, *_ in EVENTS[:20] if user == "u1"}
    everything = [hit.item for hit in recommender.recommend("u1", 20)]
    assert not rated & set(everything)
    assert rated <= {hit.item for hit in recommender.recommend("u1", 20, include_rated=True)}
    excluded = everything[0]
    assert excluded not in [
        hit.item for hit in recommender.recommend("u1", 20, exclude=[excluded, "nothing"])
    ]
    assert [h.item for h in recommender.recommend("u1", 20, only=[excluded, "nothing"])] == [excluded]


def test_an_unknown_user_gets_the_most_popular_items_first():
    recommender = folded(
        [("u1", "i1", 5.0, 1), ("u2", "i1", 5.0, 1), ("u2", "i2", 4.0, 1), ("u3", "i3", 1.0, 1)]
    )
    hits = recommender.recommend("a stranger", 2)
    assert [(hit.item, hit.score, hit.distance) for hit in hits] == [("i1", 2.0, None), ("i2", 1.0, None)]
    assert recommender.recommend("u3", 1, strategy="popular")[0].item == "i1"
    assert recommender.user_code("a stranger") is None


def test_an_inline_history_gets_the_list_of_the_same_stored_history_and_stores_nothing():
    recommender = folded(EVENTS)
    before = len(recommender.state.history.user_ids)
    inline = recommender.recommend_history([("i1", 5.0), ("i2", 1.0), ("unheard of", 5.0)], 5)
    assert len(recommender.state.history.user_ids) == before
    recommender.state.fold_in_users(recommender.state.events(["n", "n"], ["i1", "i2"], [5.0, 1.0], [1, 1]))
    assert recommender.recommend("n", 5) == inline
    assert recommender.recommend_history([("unheard of", 5.0)], 1)[0].distance is None


def test_similar_items_have_the_nearest_codes_and_exclude_the_item_itself():
    recommender = folded(EVENTS)
    _, codes = codes_of(recommender)
    hits = recommender.similar_items("i3", 20)
    own = np.frombuffer(codes["i3"], np.uint8)
    expected = {
        item: int(hamming(np.frombuffer(code, np.uint8)[None], own)[0])
        for item, code in codes.items()
        if item != "i3"
    }
    assert {hit.item: hit.distance for hit in hits} == expected
    assert [hit.distance for hit in hits] == sorted(expected.values())
    with pytest.raises(UnknownIdError, match="item 'i9' has no code"):
        recommender.similar_items("i9")


def test_features_alone_give_a_code_to_an_item_but_not_to_a_user_and_can_be_removed_exactly():
    model = random_model(user_tokens=["age=25"], item_tokens=["genres=Drama"])
    recommender = folded(EVENTS, model)
    before = codes_of(recommender)
    recommender.state.set_user("u7", {"age": 25})
    recommender.state.set_item("i9", {"title": "A film", "genres": ["Drama", "Unseen genre"]})
    recommender.state.refresh_items()
    assert recommender.user_code("u7") is None  # no fit trains users without ratings; this one has no lifts
    assert recommender.recommend("u7", 1)[0].distance is None
    assert "i9" in codes_of(recommender)[1]
    recommender.fold_in("u7", "i1", 5.0, 99)
    with_age = query_user(recommender.state, "u7").relaxed
    recommender.state.set_user("u7", {"age": 26})
    assert with_age is not None
    assert query_user(recommender.state, "u7").relaxed.tolist() != with_age.tolist()
    recommender.fold_in("u7", "i1", NAN, 99)
    recommender.state.set_user("u7", None)
    recommender.state.set_item("i9", None)
    recommender.state.refresh_items()
    assert codes_of(recommender) == before


FEATURES = st.none() | st.fixed_dictionaries(
    {}, optional={"genres": st.lists(st.sampled_from(["Drama", "War"])), "available": st.booleans()}
)


@given(st.lists(st.tuples(st.sampled_from(ITEMS), FEATURES, st.integers(0, 3)), max_size=12))
def test_features_of_many_items_at_once_are_those_of_one_after_the_other(records):
    model = random_model(item_tokens=["genres=Drama", "genres=War"])
    together, alone = folded(EVENTS, model), folded(EVENTS, model)
    gone = together.state.set_items(records)
    expected = [user for record in records for user in alone.state.set_item(*record)]
    assert [together.state.history.user_ids[row] for row in gone] == expected
    for one in (together, alone):
        one.state.refresh_items()
    assert codes_of(together) == codes_of(alone)
    assert together.state.history.unavailable == alone.state.history.unavailable
    assert together.state.history.item_features == alone.state.history.item_features


def test_an_unavailable_item_keeps_its_code_and_is_never_recommended():
    recommender = folded(EVENTS)
    _, codes = codes_of(recommender)
    recommender.state.set_item("i3", {"available": False})
    recommender.state.refresh_items()
    assert codes_of(recommender)[1] == codes
    assert "i3" not in [hit.item for hit in recommender.recommend("u1", 20, include_rated=True)]
    recommender.swap(recommender.state.prepare(random_model(generation=2)))
    assert "i3" not in [hit.item for hit in recommender.recommend("u1", 20, include_rated=True)]
    recommender.state.set_item("i3", {"available": True})
    recommender.state.refresh_items()
    assert "i3" in [hit.item for hit in recommender.recommend("u1", 20, include_rated=True)]


def test_a_forgotten_user_has_no_code_and_late_copies_of_old_events_are_ignored():
    recommender = folded(EVENTS)
    gone = recommender.state.set_user("u1", None, timestamp_ms=1000)
    assert sorted(gone) == sorted({item for user, item, *_ in EVENTS if user == "u1"})
    assert recommender.user_code("u1") is None
    recommender.fold_in("u1", "i1", 5.0, 999)
    assert recommender.user_code("u1") is None
    recommender.fold_in("u1", "i1", 5.0, 1001)
    assert recommender.user_code("u1") is not None


def test_released_rows_get_the_same_codes_when_their_events_are_folded_in_again():
    recommender = folded(EVENTS)
    before = codes_of(recommender)
    state = recommender.state
    state.release_users(["u1", "u2", "never seen"])
    state.release_items(["i1", "never seen"])
    assert recommender.user_code("u1") is None
    assert codes_of(recommender)[1] == before[1]  # until the new owner publishes another one
    columns = [list(column) for column in zip(*EVENTS, strict=True)]
    events = state.events(*columns, offsets=range(len(EVENTS)))
    state.fold_in_users(events)
    state.fold_in_items(events)
    state.refresh_items()
    assert codes_of(recommender) == before


def test_generations_cannot_be_mixed():
    one, two = Recommender(random_model()), Recommender(random_model(generation=2))
    with pytest.raises(GenerationMismatchError, match="user codes are of generation 1"):
        Snapshot(two.model, one.state.snapshot.users, two.state.snapshot.items, two.state.snapshot.item_index)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"k": "x"}, "k must be a whole number, got 'x'"),
        ({"k": 2.5}, "k must be a whole"),
        ({"strategy": "magic"}, "strategy must"),
    ],
)
def test_a_request_out_of_range_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        folded(EVENTS).recommend("u1", **wrong)


def test_ratings_and_a_recommender_say_how_much_they_hold():
    assert repr(Ratings.from_events(["u"] * 1001, range(1001), [1] * 1001)) == (
        "Ratings(1,001 ratings, 1 users, 1,001 items)"
    )
    recommender = folded(EVENTS)
    n_users, n_items = recommender.state.n_codes()
    assert repr(recommender) == f"Recommender(generation 1, codes of {n_users} users and {n_items} items)"


def test_the_reported_memory_grows_with_the_ratings():
    recommender = folded(EVENTS[:1])
    small = recommender.state.nbytes
    fold_in_ratings(
        recommender.state, Ratings.from_events([f"n{n}" for n in range(5000)], ["i1"] * 5000, [5.0] * 5000)
    )
    assert recommender.state.nbytes > small + 5000 * 24 * 8  # a sum of 24 int64 for each user


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("", "i1", 5.0), "user must be"),
        (("u1", True, 5.0), "item must be"),
        (("u1", None, 5.0), "item must be"),
        (("u1", 2.0**60, 5.0), "item: expected an id, got .* a float that has lost the last digits"),
        (("u1", "half \ud800", 5.0), "item: expected an id that UTF-8 can hold"),
        (("u1", "i1", float("inf")), "rating"),
        (("u1", "i1", 1e39), "rating must be a finite number"),
        (("u1", "i1", "5"), "rating must be a finite number"),
        (("u1", "i1", 5.0, 253_402_300_799_000), "timestamp_ms: expected a time from 1990 to 2099"),
        (("u1", "i1", 5.0, -1), "timestamp_ms: expected a time from 1990 to 2099"),
    ],
)
def test_an_invalid_event_is_refused_and_changes_nothing(wrong, message):
    recommender = folded(EVENTS)
    before = codes_of(recommender), len(recommender.state.history.item_ids)
    with pytest.raises(RatingsError, match=message):
        recommender.fold_in(*wrong)
    assert (codes_of(recommender), len(recommender.state.history.item_ids)) == before


def test_a_concurrent_reader_always_sees_a_complete_index_without_unavailable_items():
    recommender = folded(EVENTS)
    recommender.state.set_item("i3", {"available": False})
    recommender.state.refresh_items()
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            columns = recommender.state.snapshot.item_index.view()
            lengths = {len(column) for column in columns}
            row = recommender.state.history.item_ids.row("i3")
            if len(lengths) != 1 or columns.allowed[row]:
                wrong.append(lengths)

    before, reader = sys.getswitchinterval(), threading.Thread(target=read)
    sys.setswitchinterval(1e-6)
    reader.start()
    try:
        for step in range(1500):
            recommender.fold_in("u1", "i3", 5.0, 100 + step)
            recommender.fold_in("u1", f"new {step}", 5.0, 100 + step)
    finally:
        stop.set()
        reader.join()
        sys.setswitchinterval(before)
    assert wrong == []


def test_numbers_as_ids_become_text_everywhere():
    recommender = folded([("7", "3", 5.0, 1), ("7", "i1", 4.0, 2)])
    known = Recommender(random_model())
    known.fold_in(7, np.int64(3), 5.0, 1)
    known.fold_in(np.float64(7.0), "i1", 4.0, 2)
    assert known.state.history.user_ids.ids() == recommender.state.history.user_ids.ids() == ["7"]
    assert known.state.history.item_ids.ids() == ["3", "i1"]
    assert known.user_code(7) == recommender.user_code("7") is not None
    assert known.recommend(7) == recommender.recommend("7")


def test_items_to_leave_out_or_to_choose_from_may_be_numbers():
    recommender = folded([(f"u{n % 6}", str(n), 5.0, 1) for n in range(12)])
    listed = {hit.item for hit in recommender.recommend("u1", 20, include_rated=True)}
    gone = np.array([int(item) for item in listed][:2])
    left = recommender.recommend("u1", 20, include_rated=True, exclude=gone)
    assert {hit.item for hit in left} == listed - set(map(str, gone.tolist()))
    chosen = recommender.recommend("u1", 20, include_rated=True, only=gone)
    assert {hit.item for hit in chosen} == set(map(str, gone.tolist()))
    with pytest.raises(RatingsError, match="exclude: expected a list of ids, got 'i1'"):
        recommender.recommend("u1", exclude="i1")


def test_a_history_may_have_numbers_as_ids_and_withdrawn_ratings():
    recommender = folded([("u1", "i1", 5.0, 1)])
    expected = recommender.recommend_history([("i1", 5.0)])
    assert recommender.recommend_history([("i1", np.float32(5)), (9, NAN)]) == expected
    with pytest.raises(RatingsError, match="rating must be a finite number"):
        recommender.recommend_history([("i1", 1e39)])


@pytest.mark.parametrize("factor", [1e-3, 1, 1e3, 1e6])
def test_the_unit_of_a_time_is_decided_value_by_value(factor):
    recommender = folded([("u1", "i1", 5.0, 1_700_000_000_000)])
    recommender.fold_in("u1", "i1", 1.0, int(1_700_000_001_000 * factor))
    assert recommender.state.newest_ms == 1_700_000_001_000
    assert recommender.state.history.user_histories.of(0)[1].tolist() == [1.0]


def test_an_order_ends_with_the_first_time():
    recommender = folded([("u1", "i1", 5.0, 1), ("u1", "i1", 4.0, 3), ("u1", "i1", 3.0, 2)])
    assert recommender.state.history.user_histories.of(0)[1].tolist() == [4.0]
    recommender.fold_in("u1", "i1", 2.0, 1_700_000_000)
    with pytest.raises(RatingsError, match=r"timestamp_ms: expected a time from 1990 to 2099, .* got 4"):
        recommender.fold_in("u1", "i1", 1.0, 4)
    recommender.fold_in("u1", "i1", 1.0, 0)  # no time: the latest so far
    assert recommender.state.history.user_histories.of(0)[1].tolist() == [1.0]
