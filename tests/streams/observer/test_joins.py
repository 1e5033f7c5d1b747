"""Lists are joined with later likes, and counted in one-minute cells, as a slow account of the log says."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.messages import ServedList, decode_served
from streams.observer.joins import MEASURES, N_MEASURES, JoinedLists, Names
from streams.observer.list_columns import NEVER
from streams.observer.windows import cells, exposures_by, gini, in_window, joined, sums_by, window_of
from tests.streams.messages.records import decoded
from tests.streams.observer.oracle import DAY_MS, counted, expected_cells, expected_exposure, label, window
from tests.streams.observer.served_records import MINUTE_MS, a_list, a_rating, a_record, traffic


def join(records, names):
    found = JoinedLists(names)
    for record in records:
        served = decoded(decode_served, record)
        if not isinstance(served, BadRecord):
            found.apply(served)
    return found


def full_label(names, row, generation):
    """Return the label of a cell as the slow account gives it."""
    found = names.labels[row]
    return found.strategy, found.cohort, str(generation), found.arm


def named(sums, names):
    return {
        (minute, full_label(names, row, generation)): found.tolist()
        for (minute, row, generation), found in sums.items()
    }


def full_labels(window_, names):
    pairs = zip(window_.label.tolist(), window_.generation.tolist(), strict=True)
    return [full_label(names, row, generation) for row, generation in pairs]


def all_cells(partitions):
    names = Names()
    parts = [join(records, names) for records in partitions]
    return named(cells(joined([part.lists.kept for part in parts])), names)


@pytest.mark.parametrize("seed", range(8))
def test_every_cell_equals_that_of_the_slow_account(seed):
    partitions = [traffic(10 * seed + at, 250, partition=at) for at in range(2)]
    expected = expected_cells(partitions)
    assert len(expected) > 100
    assert any(cell[3] for cell in expected.values())
    assert any(cell[9] > cell[5] for cell in expected.values())
    assert all_cells(partitions) == expected


def test_lists_are_dropped_after_eight_days_and_the_younger_cells_are_still_right():
    records = traffic(3, 1200, step_ms=60 * MINUTE_MS)  # 25 days
    names = Names()
    found = join(records, names)
    first = (found.newest_ms - 8 * DAY_MS) // MINUTE_MS + 1
    young = {key: cell for key, cell in expected_cells([records]).items() if key[0] >= first}
    kept = {key: cell for key, cell in named(cells(found.lists.kept), names).items() if key[0] >= first}
    assert kept == young
    assert found.lists.first > 200


def test_what_no_record_needs_any_more_takes_no_memory(monkeypatch):
    monkeypatch.setattr("streams.observer.joins.SWEEP_EVENTS", 100)
    days = [join(traffic(3, n, n_users=10_000, step_ms=60 * MINUTE_MS), Names()) for n in (1000, 4000)]
    assert days[1].lists.first > 1000
    assert days[1].nbytes < 1.5 * days[0].nbytes


@given(st.data())
def test_the_order_of_arrival_does_not_matter_within_a_day(data):
    n = data.draw(st.integers(1, 12))
    times = data.draw(
        st.lists(st.integers(0, 30).map(lambda found: found * MINUTE_MS), min_size=n, max_size=n)
    )
    kinds = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    made = [
        a_list(time=time, items=("a", "b"), offset=at)
        if is_list
        else a_rating(time=time, item=data.draw(st.sampled_from("ab")), offset=at)
        for at, (time, is_list) in enumerate(zip(times, kinds, strict=True))
    ]
    in_time = [a_record(one) for one in sorted(made, key=lambda one: one.time)]
    arrived = [a_record(one) for one in data.draw(st.permutations(made))]
    assert all_cells([arrived]) == all_cells([in_time]) == expected_cells([arrived])


@pytest.mark.parametrize(
    ("like_at", "hits"),
    [(-1, 0), (0, 5), (MINUTE_MS, 5), (MINUTE_MS + 1, 4), (DAY_MS, 2), (7 * DAY_MS, 1), (7 * DAY_MS + 1, 0)],
)
def test_a_like_is_a_hit_within_each_time_that_is_long_enough(like_at, hits):
    found = JoinedLists(Names())
    start = 10 * DAY_MS
    found.apply(a_list(time=start))
    found.apply(a_rating(time=start + like_at))
    assert found.totals[0][len(MEASURES) :].sum() == hits


def test_ratings_that_are_no_likes_and_likes_of_others_or_other_items_are_no_hits():
    found = JoinedLists(Names())
    found.apply(a_list())
    found.apply(a_rating(time=1, liked=False))
    found.apply(a_rating(time=2, user="other"))
    found.apply(a_rating(time=3, item="other"))
    assert found.lists.kept.delay.tolist() == [NEVER]


def test_a_like_that_arrives_before_its_list_is_a_hit():
    found = JoinedLists(Names())
    found.apply(a_rating(time=5000))
    found.apply(a_list(time=2000))
    assert found.lists.kept.delay.tolist() == [3000]


def test_a_copy_and_a_record_that_is_too_late_do_not_count():
    found = JoinedLists(Names())
    new = a_list(time=3 * DAY_MS)
    assert [found.apply(one) for one in (new, new)] == ["applied", "repeated"]
    assert found.apply(a_rating(time=3 * DAY_MS)) == "applied"  # a rating may have the place of a request
    assert found.apply(a_list(time=2 * DAY_MS)) == "applied"
    assert found.apply(a_list(time=2 * DAY_MS - 1)) == "late"
    assert len(found.lists.kept.time) == 2


def joined_slowly(records, max_shown, max_likes):
    """Return repeated items and delay of each list, if the newest places and likes of a user are joined."""
    lists, places, likes, repeated, delays = [], {}, {}, {}, {}
    for one in counted(records):
        shown, liked = places.setdefault(one.user, []), likes.setdefault(one.user, [])
        if isinstance(one, ServedList):
            number = len(lists)
            lists.append(one)
            repeated[number], delays[number] = (
                set(),
                [
                    like.time - one.time
                    for like in liked[-max_likes:]
                    if like.item in one.items and like.time >= one.time
                ],
            )
            for item, other in [place for place in shown[-max_shown:] if place[0] in one.items]:
                gap = one.time - lists[other].time
                if 0 < abs(gap) <= 7 * DAY_MS:
                    repeated[number if gap > 0 else other].add(item)
            shown += [(item, number) for item in one.items]
        elif one.liked:
            gaps = [(at, one.time - lists[at].time) for item, at in shown[-max_shown:] if item == one.item]
            for at, gap in gaps:
                delays[at] += [gap] if 0 <= gap <= 7 * DAY_MS else []
            liked.append(one)
    return [len(repeated[at]) for at in delays], [min(found, default=NEVER) for found in delays.values()]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("max_shown", "max_likes"), [(1, 1), (5, 2), (12, 4), (1000, 1000)])
def test_of_one_user_the_newest_places_and_likes_are_joined(monkeypatch, seed, max_shown, max_likes):
    monkeypatch.setattr("streams.observer.joins.MAX_SHOWN", max_shown)
    monkeypatch.setattr("streams.observer.joins.MAX_LIKES", max_likes)
    records = traffic(seed, 300, n_users=2, step_ms=5 * MINUTE_MS)
    found = join(records, Names()).lists
    assert found.first == 0
    kept = found.kept
    assert (kept.n_repeated.tolist(), kept.delay.tolist()) == joined_slowly(records, max_shown, max_likes)


def test_what_is_kept_of_a_user_that_many_share_does_not_grow_with_their_records(monkeypatch):
    monkeypatch.setattr("streams.observer.joins.MAX_SHOWN", 50)
    monkeypatch.setattr("streams.observer.joins.MAX_LIKES", 20)
    found = JoinedLists(Names())
    for at in range(1000):
        found.apply(a_list("guest", at, offset=at))
        found.apply(a_rating("guest", at, offset=at))
    (user,) = found._users.values()
    assert (len(user.items), len(user.lists), len(user.repeated), len(user.likes)) == (50, 50, 50, 20)
    assert found.totals[0][0] == 1000


@pytest.mark.parametrize("seed", range(3))
def test_totals_never_fall_and_end_as_the_sum_of_all_cells(seed):
    names, found, before = Names(), None, np.zeros(N_MEASURES, np.int64)
    found = JoinedLists(names)
    for record in traffic(seed, 300):
        served = decoded(decode_served, record)
        if not isinstance(served, BadRecord):
            found.apply(served)
            total = sum(found.totals.values(), np.zeros(N_MEASURES, np.int64))
            assert (total >= before).all()
            before = total
    assert found.lists.first == 0
    by_label = {row: total.tolist() for row, total in found.totals.items()}
    whole = window_of(found.lists.kept)
    sums = sums_by(whole, [(row,) for row in whole.label.tolist()])
    assert by_label == {row: values.tolist()[:-1] for (row,), values in sums.items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_minutes", [5, 60, 1440])
def test_a_window_is_the_sum_of_the_cells_of_its_minutes(seed, n_minutes):
    partitions = [traffic(seed + 100 * at, 400, step_ms=MINUTE_MS, partition=at) for at in range(2)]
    names = Names()
    parts = [join(records, names) for records in partitions]
    last = max(part.newest_ms for part in parts) // MINUTE_MS
    found = window_of(in_window(joined([part.lists.kept for part in parts]), last, n_minutes))
    names_of = full_labels(found, names)
    expected = {}
    for (minute, name), cell in expected_cells(partitions).items():
        if last - n_minutes < minute <= last:
            expected[name] = (np.array(cell) + expected.get(name, 0)).tolist()
    assert {name: sums.tolist() for name, sums in sums_by(found, names_of).items()} == expected
    for places in ((), (0,), (1,), (2,), (2, 3), (0, 1, 2, 3)):
        check_exposure(found, names_of, window(partitions, n_minutes), places)


def check_exposure(found, names_of, lists, places):
    """Check coverage and Gini coefficient by the labels at some places; groups without one are left out."""

    def key(name):
        return None if name[1] == "no_ratings" else tuple(name[at] for at in places)

    shown = exposures_by(found, [key(name) for name in names_of])
    assert shown.keys() == {key(label(one)) for one in lists} - {None}
    for name, exposure in shown.items():
        part = [one for one in lists if key(label(one)) == name]
        assert tuple(exposure) == pytest.approx(expected_exposure(part))


@pytest.mark.parametrize(
    ("counts", "n", "expected"),
    [([], 0, 0), ([], 5, 0), ([3, 3], 2, 0), ([7], 4, 0.75), ([1, 3], 2, 0.25), ([2] * 50, 100, 0.5)],
)
def test_the_gini_coefficient_of_small_examples(counts, n, expected):
    assert gini(np.array(counts, np.int64), n) == pytest.approx(expected)


def test_a_window_without_lists_is_empty():
    found = JoinedLists(Names())
    found.apply(a_list())
    found.apply(a_rating(time=DAY_MS))
    last = found.newest_ms // MINUTE_MS
    empty = window_of(in_window(found.lists.kept, last, 5))
    assert sums_by(empty, []) == exposures_by(empty, []) == {}


def test_labels_do_not_grow_with_generations():
    names = Names()
    one = a_list()
    assert names.label_row(one) == names.label_row(msgspec.structs.replace(one, generation=2)) == 0
    assert names.label_row(msgspec.structs.replace(one, cohort="no_ratings")) == 1
