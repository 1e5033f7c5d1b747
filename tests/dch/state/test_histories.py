"""Histories against a dictionary of pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.data.ids import IdTable
from dch.state import histories as module
from dch.state.histories import MOVED_AT_LEAST, MOVED_PER_EVENT, Histories
from dch.state.pairs import NEVER, put

EVENT = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([1.0, 2.0, float("nan")]),
    st.integers(0, 3),
)


def apply(histories, events, forgotten_before=()):
    histories.reserve(len(events), 4)
    for row, until in forgotten_before:
        histories.pairs.forgotten_before[row] = until
    for offset, own, other, rating, timestamp in events:
        put(histories.pairs, own, other, rating, timestamp, offset)


def oracle(events, forgotten_before=()):
    latest = {}
    for offset, own, other, rating, timestamp in events:
        if timestamp <= dict(forgotten_before).get(own, -1):
            continue
        before = latest.get((own, other), (-1, -1, None))
        if (timestamp, offset) > before[:2]:
            latest[own, other] = (timestamp, offset, rating)
    return {pair: rating for pair, (_, _, rating) in latest.items() if not np.isnan(rating)}


def state(histories):
    return {
        (own, int(other)): float(rating)
        for own in range(4)
        for other, rating in zip(*histories.of(own), strict=True)
    }


def n_live(histories):
    return histories.n_live(np.arange(6, dtype=np.int32)).tolist()


@given(st.lists(EVENT, max_size=40), st.randoms(use_true_random=False))
def test_the_latest_rating_of_each_pair_counts_in_any_order_and_with_repeats(sampled, random):
    events = [(offset, *event) for offset, event in enumerate(sampled)]
    histories = Histories()
    apply(histories, events)
    assert state(histories) == oracle(events)
    assert n_live(histories) == [sum(own == row for own, _ in oracle(events)) for row in range(6)]

    again = events + random.sample(events, len(events) // 2)
    random.shuffle(again)
    shuffled = Histories()
    apply(shuffled, again)
    assert state(shuffled) == oracle(events)


@given(st.lists(EVENT, max_size=40), st.integers(0, 3), st.integers(0, 3))
def test_events_up_to_the_time_of_forgetting_are_ignored(sampled, row, until):
    events = [(offset, *event) for offset, event in enumerate(sampled)]
    histories = Histories()
    apply(histories, events, forgotten_before=[(row, until)])
    assert state(histories) == oracle(events, forgotten_before=[(row, until)])


@given(st.lists(EVENT, max_size=40), st.sets(st.integers(0, 3)), st.lists(EVENT, max_size=10))
def test_compacting_keeps_all_but_released_rows_and_later_events_fit_in(sampled, released, later):
    events = [(offset, *event) for offset, event in enumerate(sampled)]
    histories = Histories()
    apply(histories, events)
    pairs = histories.pairs
    for slot in range(len(histories)):
        if pairs.own[slot] in released:
            pairs.ratings[slot], pairs.timestamps[slot], pairs.offsets[slot] = np.nan, NEVER, NEVER
    pairs.n_live[list(released)] = 0
    n_before = len(histories)
    order = [histories.of(own)[0].tolist() for own in range(4)]
    histories.compact()
    kept = [event for event in events if event[1] not in released]
    n_kept = len({(own, other) for _, own, other, _, _ in kept})
    assert len(histories) == (n_kept if 2 * n_kept < n_before else n_before)
    assert [histories.of(own)[0].tolist() for own in range(4)] == order

    after = [(len(events) + offset, *event) for offset, event in enumerate(later)]
    apply(histories, after)
    assert state(histories) == oracle(kept + after)
    assert n_live(histories)[:4] == [sum(own == row for own, _ in oracle(kept + after)) for row in range(4)]


READERS = {
    "of": lambda histories, ids: histories.of(0),
    "latest": lambda histories, ids: histories.latest(0, 2, ids),
    "latest_first": lambda histories, ids: histories.latest_first(0, 2, ids),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_reader_beside_compacting_sees_the_arrays_from_before_or_from_after(read, monkeypatch):
    histories, ids = Histories(), IdTable(["a", "b", "c", "d"])
    released = [(offset, 1, offset % 4, 5.0, 9) for offset in range(4)]
    apply(histories, [*released, *((9 + other, 0, other, 1.0 + other, 1) for other in range(3))])
    pairs = histories.pairs
    pairs.ratings[:4], pairs.timestamps[:4], pairs.offsets[:4] = np.nan, NEVER, NEVER
    before = [column.tolist() for column in read(histories, ids)]
    original = module.slots_of

    def compact_then(*arguments):
        slots = original(*arguments)
        histories.compact()
        return slots

    monkeypatch.setattr(module, "slots_of", compact_then)
    assert [column.tolist() for column in read(histories, ids)] == before
    assert histories.pairs is not pairs
    assert len(histories) == 3


def test_growing_keeps_every_pair():
    rng = np.random.default_rng(0)
    histories, expected = Histories(), {}
    for offset in range(3000):
        own, other = int(rng.integers(300)), int(rng.integers(50))
        histories.reserve(1, own + 1)
        put(histories.pairs, own, other, float(offset), offset, offset)
        expected[own, other] = float(offset)
    found = {
        (own, int(other)): float(rating)
        for own in range(300)
        for other, rating in zip(*histories.of(own), strict=True)
    }
    assert found == expected
    assert len(histories) == len(histories.live()) == len(expected)
    assert histories.nbytes > 0


def test_growing_copies_nothing_and_moves_a_few_pairs_at_a_time(monkeypatch):
    rng, histories, expected, moved, most = np.random.default_rng(0), Histories(), {}, [], 0
    original = module.move

    def counted(pairs, start, stop):
        moved.append(stop - start)
        original(pairs, start, stop)

    monkeypatch.setattr(module, "move", counted)
    offset, n, sizes = 0, 40, set()
    for _ in range(1500):
        before, n_moved = histories.pairs, sum(moved)
        histories.reserve(n, 300)
        assert sum(moved) - n_moved <= MOVED_PER_EVENT * n + MOVED_AT_LEAST
        for name, column in before._asdict().items():
            if len(column) > 0 and "table" not in name:
                assert column.ctypes.data == getattr(histories.pairs, name).ctypes.data, name
        most = max(most, len(histories.pairs.old_table))
        sizes.add(len(histories.pairs.table))
        for own, other in rng.integers((300, 500), size=(n, 2)).tolist():
            put(histories.pairs, own, other, float(offset), offset, offset)
            expected[own, other] = float(offset)
            offset += 1
    found = {
        (own, int(other)): float(rating)
        for own in range(300)
        for other, rating in zip(*histories.of(own), strict=True)
    }
    assert found == expected
    assert len(histories) == len(expected) > 40_000
    assert most >= 2**16  # tables were replaced while they held many pairs
    assert len(sizes) > 8
    assert sum(moved) < 2 * len(expected)


def test_a_row_beyond_the_arrays_has_an_empty_history():
    others, ratings = Histories().of(99)
    assert len(others) == len(ratings) == 0


@pytest.mark.parametrize("rating", [3.0, float("nan")])
def test_put_returns_the_rating_it_replaced(rating):
    histories = Histories()
    histories.reserve(2, 1)
    first, before = put(histories.pairs, 0, 0, 5.0, 1, 0)
    assert first
    assert np.isnan(before)
    assert put(histories.pairs, 0, 0, rating, 2, 1) == (True, 5.0)
    late, kept = put(histories.pairs, 0, 0, 1.0, 1, 9)
    assert not late
    assert kept == pytest.approx(rating, nan_ok=True)
