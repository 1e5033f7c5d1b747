"""What the observer shows: counters of what it counts itself, gauges of all that it holds."""

import pytest
from prometheus_client import REGISTRY

from streams import metrics
from streams.errors import BadRecord
from streams.messages.served import MAX_AHEAD_MS
from streams.metrics import WITHIN
from streams.observer.observer import Observer, key_of
from tests.streams.observer.oracle import expected_cells, expected_exposure, label, window
from tests.streams.observer.served_records import (
    BASE_MS,
    DAY_MS,
    MINUTE_MS,
    a_list,
    a_rating,
    a_record,
    traffic,
)

NAMES = ("strategy", "cohort", "generation", "arm")
MEASURES = ("lists", "items", "new_items", "repeated_items", "popularity")


@pytest.fixture(autouse=True)
def _no_gauges_of_other_tests():
    metrics.SERVED_WINDOWS.replace({})


def observe(observer, records):
    keys = []
    for record in records:
        try:
            keys.append(observer.observe(record))
        except BadRecord:
            keys.append("bad")
    return keys


def owning(*partitions):
    found = Observer()
    found.restored(partitions)
    return found


def series(name, **labels):
    """Return the samples of a metric that have these label values, as a dict from the other label values."""
    return {
        tuple(value for key, value in sample.labels.items() if key not in labels): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }


def increase(name, before, **labels):
    found = series(name, **labels)
    return {key: value - before.get(key, 0) for key, value in found.items() if value != before.get(key, 0)}


def totals(partitions, at):
    found = {}
    for (_, name), cell in expected_cells(partitions).items():
        found[name] = found.get(name, 0) + cell[at]
    return {name: value for name, value in found.items() if value}


def test_counters_count_each_list_once_however_often_they_are_shown():
    partitions = [traffic(at, 200, partition=at) for at in range(2)]
    names = [f"dch_served_{name}_total" for name in MEASURES]
    before = {name: series(name) for name in names}
    hits = {within: series("dch_served_hits_total", within=within) for within in WITHIN}
    observer = owning(0, 1)
    for records in partitions:
        observe(observer, records)
        observer.show()
        observer.show()
    for at, name in enumerate(names):
        assert increase(name, before[name]) == totals(partitions, at)
    for at, within in enumerate(WITHIN, len(MEASURES)):
        found = increase("dch_served_hits_total", hits[within], within=within)
        assert found == totals(partitions, at)


@pytest.mark.parametrize(("name", "n_minutes"), [("5m", 5), ("1h", 60), ("24h", 1440)])
def test_gauges_show_the_windows_of_record_time(name, n_minutes):
    partitions = [traffic(at, 300, step_ms=MINUTE_MS, partition=at) for at in range(2)]
    observer = owning(0, 1)
    for records in partitions:
        observe(observer, records)
    observer.show()
    lists = window(partitions, n_minutes)
    minutes = {(one.time // MINUTE_MS, label(one)) for one in lists}
    cells = {key: cell for key, cell in expected_cells(partitions).items() if key in minutes}
    expected = {key: sum(cell[0] for (_, name), cell in cells.items() if name == key) for _, key in minutes}
    assert series("dch_served_window_lists", window=name) == expected
    delays = {key: sum(cell[10] for (_, name), cell in cells.items() if name == key) for _, key in minutes}
    found = series("dch_served_window_time_to_like_seconds", window=name)
    assert found == {key: value / 1000 for key, value in delays.items()}
    hits = {key: sum(cell[9] for (_, name), cell in cells.items() if name == key) for _, key in minutes}
    assert series("dch_served_window_hits", window=name, within="7d") == hits
    whole = dict.fromkeys(NAMES, "all") | {"window": name}
    exposure = (
        series("dch_served_coverage_ratio", **whole)[()],
        series("dch_served_gini_ratio", **whole)[()],
    )
    assert exposure == pytest.approx(expected_exposure(lists))


def test_a_window_that_has_moved_on_no_longer_shows_the_labels_that_left_it():
    observer = owning(0)
    observe(observer, [a_record(a_list(generation=7, offset=1))])
    observer.show()
    assert ("codes", "few_ratings", "7", "default") in series("dch_served_window_lists", window="5m")
    observe(observer, [a_record(a_list(time=6 * MINUTE_MS, generation=8, offset=2))])
    observer.show()
    assert series("dch_served_window_lists", window="5m") == {("codes", "few_ratings", "8", "default"): 1}
    assert len(series("dch_served_window_lists", window="1h")) == 2


def test_what_is_restored_is_in_the_windows_but_was_counted_before():
    records = traffic(5, 150)
    observe(first := owning(0), records)
    first.show()
    lists, shown = series("dch_served_lists_total"), series("dch_served_window_lists")
    second = Observer()
    second.pause()
    for record in records:
        second.restore(record)
    second.show()
    second.restored([0])
    second.show()
    assert increase("dch_served_lists_total", lists) == {}
    assert series("dch_served_window_lists") == shown
    observe(second, [a_record(a_list(time=100 * DAY_MS, offset=10**6))])
    second.show()
    assert increase("dch_served_lists_total", lists) == {("codes", "few_ratings", "1", "default"): 1}


def test_what_was_counted_before_a_rebalance_is_not_lost_and_not_counted_twice():
    lists = series("dch_served_lists_total")
    observer = owning(0, 1)
    observe(observer, [a_record(a_list(offset=1)), a_record(a_list(offset=2), partition=1)])
    observer.pause()
    observer.restore(a_record(a_list(offset=1)))  # partition 0 stays, its changelog is read again
    observer.restored([0])
    observer.show()
    assert list(observer.partitions) == [0]
    assert sum(increase("dch_served_lists_total", lists).values()) == 2


def test_records_that_count_and_their_copies_are_kept_and_others_are_not():
    new, old = a_list(time=3 * DAY_MS, offset=4), a_rating(offset=5)
    found = observe(owning(0), [a_record(one) for one in (new, new, old, b"{}")])
    assert found == [b"list-0-4", b"list-0-4", None, "bad"]
    assert key_of(old) == b"rating-0-5"


def test_no_record_makes_those_of_its_own_time_late():
    """The broker stamps records of `served`, so none is from the future."""
    found = Observer()
    found.restored([0])
    now = a_record(a_list()).timestamp_ms
    for ahead in (MAX_AHEAD_MS + 1, 40 * DAY_MS):
        with pytest.raises(BadRecord, match="time: expected at most an hour"):
            found.observe(a_record(a_list(time=now - BASE_MS + ahead, offset=ahead)))
    assert found.observe(a_record(a_list(time=now - BASE_MS + MAX_AHEAD_MS, offset=1)))
    assert found.observe(a_record(a_list(time=now - BASE_MS, offset=2))), "it counts"


def test_a_bad_record_of_the_changelog_is_passed_over():
    observer = owning(0)
    observer.restore(a_record(b"no"))
    assert observer.partitions[0].newest_ms == 0


def test_an_observer_without_partitions_shows_nothing():
    observer = owning(0)
    observe(observer, [a_record(a_list())])
    observer.show()
    observer.restored([])
    observer.show()
    assert series("dch_served_window_lists") == {}
