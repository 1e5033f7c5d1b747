"""What the observer shows: counters of what it counts itself, gauges of all that it holds."""

import random
from fractions import Fraction

import pytest
from prometheus_client import REGISTRY

from streams.messages.fields import MAX_GENERATION
from streams.messages.requests import STRATEGIES
from streams.messages.served import MAX_AHEAD_MS, USER_COHORTS
from streams.observer.observer import Observer
from streams.observer.shown import WINDOW_MINUTES
from streams.observer.windows import main_generations
from streams.served_metrics import N_GENERATIONS, SERVED_WINDOWS, WITHIN
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

MEASURES = ("lists", "items", "new_items", "repeated_items", "popularity")


@pytest.fixture(autouse=True)
def _no_gauges_of_other_tests():
    SERVED_WINDOWS.replace({})


def observe(observer, records):
    """Observe records in batches, as they are read."""
    return [observer.observe(records[at : at + 7]) for at in range(0, len(records), 7)]


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


def by_label(name):
    """Return the labels of a counter or window, of those of a cell."""
    strategy, cohort, _, arm = name
    return strategy, cohort, arm


def by_generation(name):
    return name[2:]


def totals(partitions, at):
    found = summed(expected_cells(partitions), at, by_label)
    return {name: value for name, value in found.items() if value}


def summed(cells, at, view):
    """Return a measure of the cells, summed by a view of their labels."""
    found = {}
    for (_, name), cell in cells.items():
        found[view(name)] = found.get(view(name), 0) + cell[at]
    return found


def window_cells(partitions, n_minutes):
    """Return the cells of the newest minutes."""
    minutes = {(one.time // MINUTE_MS, label(one)) for one in window(partitions, n_minutes)}
    return {key: cell for key, cell in expected_cells(partitions).items() if key in minutes}


def check_sums(cells, view, prefix, **labels):
    """Compare all gauges that are sums with the slow account."""
    for at, name in enumerate((*MEASURES[:-1], "popularity_ratings")):
        assert series(f"{prefix}_{name}", **labels) == summed(cells, at, view)
    for at, within in enumerate(WITHIN, len(MEASURES)):
        assert series(f"{prefix}_hits", within=within, **labels) == summed(cells, at, view)
    delays = {name: value / 1000 for name, value in summed(cells, 10, view).items()}
    assert series(f"{prefix}_time_to_like_seconds", **labels) == delays


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


def observed(partitions):
    observer = owning(*range(len(partitions)))
    for records in partitions:
        observe(observer, records)
    observer.show()
    return observer


@pytest.mark.parametrize("name", WINDOW_MINUTES)
def test_gauges_show_the_windows_of_record_time(name):
    partitions = [traffic(at, 300, step_ms=MINUTE_MS, partition=at) for at in range(2)]
    observed(partitions)
    check_sums(window_cells(partitions, WINDOW_MINUTES[name]), by_label, "dch_served_window", window=name)
    lists = window(partitions, WINDOW_MINUTES[name])
    strategies, cohorts = {one.strategy for one in lists}, {one.cohort for one in lists}
    labels = [("all", "all"), *((one, "all") for one in strategies), *(("all", one) for one in cohorts)]
    shown = series("dch_served_coverage_ratio", window=name), series("dch_served_gini_ratio", window=name)
    assert shown[0].keys() == shown[1].keys() == set(labels)
    for of in labels:
        part = [one for one in lists if of[0] in ("all", one.strategy) and of[1] in ("all", one.cohort)]
        assert (shown[0][of], shown[1][of]) == pytest.approx(expected_exposure(part))


def test_the_last_day_is_also_shown_by_generation():
    partitions = [traffic(at, 300, step_ms=MINUTE_MS, partition=at) for at in range(2)]
    observed(partitions)
    check_sums(window_cells(partitions, 1440), by_generation, "dch_served_generation")
    shown = series("dch_served_generation_coverage_ratio"), series("dch_served_generation_gini_ratio")
    for of in shown[0]:
        part = [one for one in window(partitions, 1440) if str(one.generation) == of[0]]
        assert (shown[0][of], shown[1][of]) == pytest.approx(expected_exposure(part))


def of_generations(numbers, time=0):
    """Return lists of these generations, each of all strategies and cohorts."""
    labels = [(strategy, cohort) for strategy in STRATEGIES for cohort in USER_COHORTS]
    return [
        a_record(
            a_list(
                time=time + at, offset=1000 * number + at, generation=number, strategy=strategy, cohort=cohort
            )
        )
        for number in numbers
        for at, (strategy, cohort) in enumerate(labels)
    ]


def n_samples():
    return sum(
        sample.name.startswith("dch_served_") for family in REGISTRY.collect() for sample in family.samples
    )


def test_a_scrape_does_not_grow_with_generations_and_counters_keep_counting():
    observer = owning(0)
    observe(observer, of_generations(range(1, N_GENERATIONS + 1)))
    observer.show()
    n_before, counted = n_samples(), series("dch_served_lists_total")
    observe(observer, of_generations(range(N_GENERATIONS + 1, 51)))
    observer.show()
    assert n_samples() == n_before
    n_labels = len(STRATEGIES) * len(USER_COHORTS)
    assert n_before < (10 + 3 * 11) * n_labels + 6 * (1 + len(STRATEGIES) + len(USER_COHORTS)) + 150
    newest = {(str(number), "default"): n_labels for number in range(51 - N_GENERATIONS, 51)}
    assert series("dch_served_generation_lists") == newest
    grown = increase("dch_served_lists_total", counted)
    assert list(grown.values()) == [50 - N_GENERATIONS] * n_labels


def test_lists_of_generations_that_do_not_exist_hide_none_that_is_in_service():
    """A wrong record hides a generation until more lists have come than there are wrong records."""
    served = [one for number in (4, 5) for one in of_generations([number], time=100 * number)]
    absurd = [
        a_record(a_list(time=410 + at, offset=at, generation=MAX_GENERATION - at, partition=7))
        for at in range(2 * N_GENERATIONS)
    ]
    observer = owning(0)
    observe(observer, [*served[:20], *absurd, *served[20:]])
    observer.show()
    shown = series("dch_served_generation_lists")
    assert len(shown) == N_GENERATIONS
    n_labels = len(STRATEGIES) * len(USER_COHORTS)
    assert (shown["4", "default"], shown["5", "default"]) == (n_labels, n_labels)


def main_generations_slowly(lists, n):
    """Return the generations with the largest share of the lists that are not older than their first one."""
    shares = {}
    for generation in {one.generation for one in lists}:
        of_it = [one.time for one in lists if one.generation == generation]
        since = [one.time for one in lists if one.time >= min(of_it)]
        shares[generation] = Fraction(len(of_it), len(since))
    return set(sorted(shares, key=lambda one: (shares[one], one), reverse=True)[:n])


@pytest.mark.parametrize("seed", range(20))
def test_the_generations_shown_have_the_largest_share_of_the_lists_since_their_first(seed):
    dice = random.Random(seed)
    lists = [
        a_list(time=dice.randrange(50), offset=at, generation=dice.randrange(4) + at // 20)
        for at in range(100)
    ]
    observer = owning(0)
    observe(observer, [a_record(one) for one in lists])
    kept = observer.partitions[0].lists.kept
    for n in (1, 3, 50):
        assert main_generations(kept, n) == main_generations_slowly(lists, n)


def test_of_generations_that_follow_one_another_the_newest_are_shown():
    lists = [a_list(time=at, generation=at // 20) for at in range(20 * 50)]
    observer = owning(0)
    observe(observer, [a_record(one) for one in lists])
    assert main_generations(observer.partitions[0].lists.kept, 10) == set(range(40, 50))


def test_a_generation_goes_when_a_day_has_no_list_of_it():
    observer = owning(0)
    observe(observer, of_generations([1, 2]))
    observe(observer, of_generations([3], time=DAY_MS + MINUTE_MS))
    observer.show()
    assert list(series("dch_served_generation_lists")) == [("3", "default")]


def test_a_window_that_has_moved_on_no_longer_shows_the_labels_that_left_it():
    observer = owning(0)
    observe(observer, [a_record(a_list(strategy="popular", offset=1))])
    observer.show()
    assert ("popular", "few_ratings", "default") in series("dch_served_window_lists", window="5m")
    observe(observer, [a_record(a_list(time=6 * MINUTE_MS, offset=2))])
    observer.show()
    assert series("dch_served_window_lists", window="5m") == {("codes", "few_ratings", "default"): 1}
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
    assert increase("dch_served_lists_total", lists) == {("codes", "few_ratings", "default"): 1}


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
    records = [a_record(one) for one in (new, new, old, b"{}")]
    (found,) = observe(owning(0), records)
    assert found.kept == {0: [new, new]}
    assert [record for record, _ in found.bad] == records[3:]


def test_batches_count_as_their_records_do_one_by_one():
    records = [record for at in range(2) for record in traffic(at, 150, partition=at)]
    names = ("dch_events_total", "dch_served_ratings_total", "dch_served_dropped_total")
    grown, shown, followed = [], [], []
    for size in (1, 50, len(records)):
        before, observer = [series(name) for name in names], owning(0, 1)
        found = [observer.observe(records[at : at + size]) for at in range(0, len(records), size)]
        observer.show()
        grown.append([increase(name, old) for name, old in zip(names, before, strict=True)])
        shown.append(series("dch_served_window_hits"))
        kept = [[one for part in found for one in part.kept.get(number, ())] for number in range(2)]
        followed.append((kept, [record.offset for part in found for record, _ in part.bad]))
    assert grown[0] == grown[1] == grown[2]
    assert shown[0] == shown[1] == shown[2]
    assert followed[0] == followed[1] == followed[2]
    assert all(grown[0])


def test_no_record_makes_those_of_its_own_time_late():
    """The broker stamps records of `served`, so none is from the future."""
    found = Observer()
    found.restored([0])
    now = a_record(a_list()).timestamp_ms
    ahead = [a_list(time=now - BASE_MS + one, offset=one) for one in (MAX_AHEAD_MS + 1, 40 * DAY_MS)]
    known = [a_list(time=now - BASE_MS + one, offset=one) for one in (MAX_AHEAD_MS, 0)]
    counted = found.observe([a_record(one) for one in (*ahead, *known)])
    assert ["time: expected at most an hour" in str(reason) for _, reason in counted.bad] == [True, True]
    assert counted.kept == {0: known}


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
