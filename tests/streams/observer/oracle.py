"""A slow and obvious account of a topic `served`: every pair of a list and a like is looked at."""

from collections import defaultdict
from fractions import Fraction

from streams.errors import BadRecord
from streams.messages import ServedList, decode_served

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WITHIN_MS = (60_000, 600_000, 3_600_000, DAY_MS, 7 * DAY_MS)


def counted(records):
    """Return what counts of the records of one partition, in the order of their offsets."""
    found, ids, newest = [], set(), 0
    for record in records:
        try:
            served = decode_served(record)
        except BadRecord:
            continue
        id_ = (type(served), served.partition, served.offset)
        if served.time >= newest - DAY_MS and id_ not in ids:
            found.append(served)
            ids.add(id_)
            newest = max(newest, served.time)
    return found


def expected_cells(partitions):
    """Return the measures of every minute and label, from the records of each partition."""
    cells = defaultdict(lambda: [0] * 11)
    for records in partitions:
        found = counted(records)
        lists = [one for one in found if isinstance(one, ServedList)]
        likes = [one for one in found if not isinstance(one, ServedList) and one.liked]
        for one in lists:
            cell = cells[one.time // MINUTE_MS, label(one)]
            for at, value in enumerate(measures(one, lists, likes)):
                cell[at] += value
    return dict(cells)


def label(one):
    return (one.strategy, one.cohort, str(one.generation), one.arm)


def measures(one, lists, likes):
    repeated = [
        item
        for item in one.items
        if any(
            other.user == one.user and item in other.items and 0 < one.time - other.time <= 7 * DAY_MS
            for other in lists
        )
    ]
    delays = [
        like.time - one.time
        for like in likes
        if like.user == one.user and like.item in one.items and 0 <= like.time - one.time <= 7 * DAY_MS
    ]
    first = min(delays, default=None)
    hits = [int(first is not None and first <= within) for within in WITHIN_MS]
    return [1, len(one.items), one.new_items, len(repeated), one.popularity, *hits, first or 0]


def window(partitions, n_minutes):
    """Return the counted lists of the last minutes before the newest record of all partitions."""
    found = [one for records in partitions for one in counted(records)]
    last = max(one.time for one in found) // MINUTE_MS
    return [
        one
        for one in found
        if isinstance(one, ServedList) and last - n_minutes < one.time // MINUTE_MS <= last
    ]


def expected_exposure(lists):
    """Return coverage and Gini coefficient of some lists, as mean absolute difference over twice the mean."""
    shown = defaultdict(int)
    for one in lists:
        for item in one.items:
            shown[item] += 1
    n = max(*(one.catalogue for one in lists), len(shown))
    counts = [*shown.values(), *[0] * (n - len(shown))]
    if not sum(counts):
        return 0.0, 0.0
    differences = sum(abs(a - b) for a in counts for b in counts)
    return len(shown) / n, float(Fraction(differences, 2 * n * sum(counts)))
