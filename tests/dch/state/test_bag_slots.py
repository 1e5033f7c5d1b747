"""Slots of bags against a dictionary; and what a state holds of rows that others own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from dch import Recommender
from dch.state.bag_slots import EMPTY, SlottedBags, slot_to_fill

ROWS = 12


@given(st.lists(st.tuples(st.booleans(), st.integers(0, ROWS - 1)), max_size=80))
def test_each_filled_row_has_a_bag_of_its_own_and_freed_bags_are_used_again(steps):
    bags, expected, most = SlottedBags(4), {}, 0
    bags.reserve(ROWS)
    for fills, row in steps:
        if fills:
            slot = slot_to_fill(bags.slots, row)
            bags.sums.sums[slot] += row + 1
            expected[row] = expected.get(row, 0) + row + 1
        else:
            bags.sums.sums[bags.of(np.array([row], np.int32))] -= expected.get(row, 0)
            bags.free(np.array([row], np.int32))
            expected.pop(row, None)
        most = max(most, len(expected))
        slots = bags.of(np.arange(ROWS, dtype=np.int32))
        assert np.flatnonzero(slots != EMPTY).tolist() == sorted(expected)
        assert bags.sums.sums[slots, 0].tolist() == [expected.get(row, 0) for row in range(ROWS)]
    assert bags.slots.of_row.max() <= most
    assert not bags.sums.sums[EMPTY].any()


def test_rows_past_the_end_have_the_empty_bag_and_room_can_be_made_for_them():
    bags = SlottedBags(4)
    assert bags.of(np.array([0, 99], np.int32)).tolist() == [EMPTY, EMPTY]
    bags.reserve(2)
    slot = slot_to_fill(bags.slots, 1)
    bags.sums.sums[slot] = 7
    bags.reserve(100)
    assert bags.of(np.array([1, 99, 100], np.int32)).tolist() == [slot, EMPTY, EMPTY]
    assert bags.sums.sums[slot].tolist() == [7] * 4


def _bytes(*, users=(), items=(), described=()):
    """Return the memory of a state by kind: ratings of users and of items, and items with features alone."""
    state = Recommender(random_model()).state
    state.history.user_ids.intern_many([f"u{n}" for n in range(4000)])
    state.history.item_ids.intern_many([f"i{n}" for n in range(4000)])
    state.set_items([(f"i{n}", {"genre": "x"}, 0) for n in described])
    state.fold_in_users(
        state.events([f"u{n}" for n in users], ["i1"] * len(users), [5.0] * len(users), users)
    )
    state.fold_in_items(
        state.events(["u1"] * len(items), [f"i{n}" for n in items], [5.0] * len(items), items)
    )
    state.refresh_items()
    return state.bytes_by_kind()


def test_rows_that_others_own_and_items_with_features_alone_take_no_sums():
    nothing, quarter, all_ = (_bytes(users=range(0, 4000, step)) for step in (4000, 4, 1))
    of_sums = all_["user"] - nothing["user"]
    assert of_sums == 3999 * (24 * 8 + 16)  # the sums of 24 int64 and three other figures
    assert quarter["user"] - nothing["user"] == 999 * (24 * 8 + 16)
    without, described = _bytes(items=[1]), _bytes(items=[1], described=range(4000))
    assert described["item"] == without["item"]


def test_a_state_gives_the_memory_of_released_rows_back():
    state = Recommender(random_model()).state
    users = [f"u{n}" for n in range(3000)]
    items = [f"i{n % 50}" for n in range(3000)]
    for _ in range(3):
        state.fold_in_users(state.events(users, items, [5.0] * 3000, range(3000)))
        state.fold_in_items(state.events(users, items, [5.0] * 3000, range(3000)))
        held, slots = state.nbytes, len(state.history.user_histories)
        state.release_users(users)
        state.release_items(sorted(set(items)))
        assert len(state.history.user_histories) == len(state.history.item_histories) == 0
        assert slots == 3000
        assert state.nbytes <= held
