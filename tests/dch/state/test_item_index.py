"""The item index against a dictionary, and the codes that a state takes from other workers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import item_codes, random_model

from dch import Recommender
from dch.data.ids import IdTable
from dch.state.item_columns import ItemCodes, popularity_of, precedence_of
from dch.state.item_index import ItemIndex
from dch.state.pairs import NEVER

N_ITEMS = 5
CODE = st.tuples(st.integers(0, 3), st.integers(-2, 2), st.integers(0, 2)) | st.none()
STEPS = st.lists(st.dictionaries(st.integers(0, N_ITEMS - 1), CODE, min_size=1), max_size=8)


def codes_of(values):
    """Columns from (word, vector element, popularity) or None, one per row."""
    filled = [value or (9, 9, 9) for value in values]
    return ItemCodes(
        np.array([[word] for word, _, _ in filled], np.uint64),
        np.array([[element] * 2 for _, element, _ in filled], np.int8),
        np.array([popularity for _, _, popularity in filled], np.int32),
        np.array([value is not None for value in values]),
    )


@given(STEPS, st.sets(st.integers(0, N_ITEMS - 1)), st.integers(0, N_ITEMS - 1))
def test_an_index_serves_the_codes_that_were_put_last_and_hides_what_is_unavailable(steps, hidden, removed):
    ids = IdTable()
    index = ItemIndex(ids, generation=1, bits=64, vector_size=2, fitted=IdTable(["i0", "i1"]))
    ids.intern_many([f"i{row}" for row in range(N_ITEMS)])
    expected = {}
    for step in steps:
        index.put(np.array(list(step), np.int32), codes_of(list(step.values())), hidden)
        expected |= step
    index.remove(np.array([removed], np.int32))
    expected[removed] = None

    served = {row: value for row, value in expected.items() if value is not None}
    rows, view = np.arange(N_ITEMS, dtype=np.int32), index.view()
    assert len(index) == len(served)
    assert index.rows_with_code().tolist() == sorted(served)
    assert index.has_code(rows).tolist() == [row in served for row in range(N_ITEMS)]
    assert popularity_of(view.precedence).tolist() == [
        served.get(row, (0, 0, 0))[2] for row in range(N_ITEMS)
    ]
    assert view.words[:, 0].tolist() == [served.get(row, (0,))[0] for row in range(N_ITEMS)]
    assert view.vectors[:, 1].tolist() == [served.get(row, (0, 0))[1] for row in range(N_ITEMS)]
    assert view.allowed.tolist() == [row in served and row not in hidden for row in range(N_ITEMS)]
    assert view.is_new.tolist() == [0, 0, 1, 1, 1]
    for row in served:
        assert view.precedence[row] == precedence_of(f"i{row}", served[row][2])
    copied = index.codes(rows)
    for found, column in zip(copied[:2], (view.words, view.vectors), strict=True):
        assert found.tolist() == column.tolist()
        assert not np.shares_memory(found, column)


def test_rows_that_an_index_has_not_met_have_no_code():
    ids = IdTable(["i0"])
    index = ItemIndex(ids, generation=1, bits=64, vector_size=0)
    rows = np.array([0, 3, 10**6], np.int32)
    assert not index.has_code(rows).any()
    ids.intern("i1")
    assert index.codes(np.array([1], np.int32)).present.tolist() == [False]


def test_codes_of_another_worker_are_served_until_they_are_removed():
    one, two = Recommender(random_model()), Recommender(random_model())
    for item in range(4):
        one.fold_in(f"u{item}", f"i{item}", 5.0, 1)
    two.state.history.item_ids.intern_many(one.state.history.item_ids.ids())
    rows = one.state.snapshot.item_index.rows_with_code()
    two.state.put_item_codes(rows, one.state.snapshot.item_index.codes(rows))
    assert item_codes(two.state) == item_codes(one.state)
    assert two.recommend("a stranger") == one.recommend("a stranger")

    prepared = two.state.prepare(random_model(generation=2))
    two.state.put_item_codes(rows[:1], one.state.snapshot.item_index.codes(rows[:1]), prepared)
    assert prepared.item_index.rows_with_code().tolist() == rows[:1].tolist()
    two.state.remove_item_codes(rows)
    assert item_codes(two.state) == {}
    assert two.recommend("a stranger") == []


def test_a_state_knows_its_users_the_raters_of_an_item_and_what_is_forgotten():
    recommender = Recommender(random_model())
    state = recommender.state
    recommender.fold_in("u0", "i0", 5.0, 1)
    recommender.fold_in("u1", "i0", 2.0, 1)
    recommender.fold_in("u1", "i0", float("nan"), 2)
    (item,) = state.item_rows(["i0", "i9"])
    assert (list(state.known_users()), list(state.known_items())) == (["u0", "u1"], ["i0"])
    assert state.intern_items(["i1", "i0"]).tolist() == [1, 0]
    assert state.n_raters(np.array([item, 99], np.int32)).tolist() == [1, 0]
    state.set_user("u0", None, 7)
    assert state.forgotten_before(np.array([0, 1, 99], np.int32)).tolist() == [7, NEVER, NEVER]


def test_a_state_tells_features_and_codes_in_service_and_in_a_prepared_snapshot():
    recommender = Recommender(random_model())
    state = recommender.state
    recommender.fold_in("u0", "i0", 5.0, 1)
    state.set_item("i1", {"title": "A title"})
    assert (state.item_features("i1"), state.item_features("i0")) == ({"title": "A title"}, None)
    assert state.item_features("never met") is None
    assert state.n_codes() == (1, 1)
    assert state.items_with_code().tolist() == [0]
    prepared = state.prepare(random_model(generation=2))
    state.remove_item_codes(np.array([0], np.int32))
    both = np.array([0, 1], np.int32)
    assert state.item_codes(both).present.tolist() == [False, False]
    assert state.item_codes(both, prepared).present.tolist() == [True, False]
    assert state.model.generation == 1
    state.swap(prepared)
    assert state.model.generation == 2
    assert state.item_codes(both).present.tolist() == [True, False]


def test_an_index_grows_without_copies():
    ids = IdTable(["i0", "i1"])
    index = ItemIndex(ids, generation=1, bits=64, vector_size=2, fitted=IdTable(["i0", "i7"]))
    places, n_rows = set(), []
    for step in range(12):
        ids.intern_many([f"i{row}" for row in range(2 << step)])
        rows = np.arange(2, dtype=np.int32)
        index.put(rows, codes_of([(step, 1, step), (step, 2, 1)]))
        view = index.view()
        places.add(tuple(column.ctypes.data for column in (*view, index.served.new_rows)))
        n_rows.append({len(column) for column in view})
        assert view.words[:2, 0].tolist() == [step, step]
    assert n_rows == [{2 << step} for step in range(12)]
    assert len(places) == 2  # the two copies, wherever they were at first
