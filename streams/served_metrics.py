"""The metrics of the observer: what became of the lists that were shown.

Three views of one count: counters since the start, windows of the newest minutes of record time, and the last
24 hours by generation. Generations come and go for ever, so only gauges have them as a label, of the newest
few: a counter that is removed breaks ``rate``, and each generation would multiply all other labels.
"""

from streams.metric_types import ANY, GaugeGroup, counter, gauge

LABELS = {"strategy": ANY, "cohort": ANY, "arm": ANY}
"""Labels of what the observer counts. Cohorts go by how many ratings the user had when a list was made."""

WITHIN = ("1m", "10m", "1h", "24h", "7d")
"""How long after a list a like counts; each includes the shorter ones."""

WINDOWS = ("5m", "1h", "24h")
N_GENERATIONS = 10
"""The most generations that are shown at a time."""

WINDOW_LABELS = {"window": WINDOWS, **LABELS}
EXPOSURE_LABELS = {"window": WINDOWS, "strategy": ANY, "cohort": ANY}
GENERATION_LABELS = {"generation": ANY, "arm": ANY}
"""Labels of the window of 24 hours by generation."""

TRAFFIC = "Traffic, or another --served-share."
REFIT = "A refit: its first lists are young, and their likes are still to come."

SERVED_LISTS = counter(
    "dch_served_lists_total",
    "Lists shown to sampled users, as the observer reads them.",
    jump=TRAFFIC,
    roles="observer",
    labels=LABELS,
)
SERVED_ITEMS = counter(
    "dch_served_items_total", "Items on these lists.", jump=TRAFFIC, roles="observer", labels=LABELS
)
SERVED_NEW_ITEMS = counter(
    "dch_served_new_items_total",
    "Items on these lists that the fit of the generation never saw.",
    jump="Over the items: many new items got codes. A fall comes with each refit, which makes items known.",
    roles="observer",
    labels=LABELS,
)
SERVED_REPEATED_ITEMS = counter(
    "dch_served_repeated_items_total",
    "Items on these lists that an earlier list showed to the same user within 7 days.",
    jump="Over the items: users ask more often, or their ratings change their lists less.",
    roles="observer",
    labels=LABELS,
)
SERVED_POPULARITY = counter(
    "dch_served_popularity_total",
    "Sum of the popularity (positive ratings) of the items on these lists.",
    jump="Over the items: lists turn to popular items, or away from them.",
    roles="observer",
    labels=LABELS,
)
SERVED_HITS = counter(
    "dch_served_hits_total",
    "Lists of which the user liked an item afterwards, within this time.",
    jump="Over the lists it is the served hit rate; a fall means worse lists, or users who look elsewhere.",
    roles="observer",
    labels={**LABELS, "within": WITHIN},
)
SERVED_RATINGS = counter(
    "dch_served_ratings_total",
    "Ratings by sampled users, as the observer reads them.",
    jump=TRAFFIC,
    roles="observer",
    labels={"liked": ("yes", "no")},
)
SERVED_DROPPED = counter(
    "dch_served_dropped_total",
    "Records of `served` that do not count: repeated (a copy of one that was read), or late (more than a day "
    "older than the newest of the partition).",
    jump="Repeated: a worker or an observer was killed. Late: a worker answered or read after a long pause.",
    roles="observer",
    labels={"reason": ("repeated", "late")},
)
SERVED_WINDOWS = GaugeGroup()
SERVED_WINDOW_LISTS = SERVED_WINDOWS.gauge(
    "dch_served_window_lists",
    "Lists in the newest minutes of record time, up to the minute of the newest record.",
    jump=TRAFFIC,
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_WINDOW_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_window_items",
    "Items on the lists of the window.",
    jump=TRAFFIC,
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_WINDOW_NEW_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_window_new_items",
    "Items on the lists of the window that the fit of the generation never saw.",
    jump="As for `dch_served_new_items_total`.",
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_WINDOW_REPEATED_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_window_repeated_items",
    "Items on the lists of the window that an earlier list showed to the same user within 7 days.",
    jump="As for `dch_served_repeated_items_total`.",
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_WINDOW_POPULARITY = SERVED_WINDOWS.gauge(
    "dch_served_window_popularity_ratings",
    "Sum of the popularity (positive ratings) of the items on the lists of the window.",
    jump="As for `dch_served_popularity_total`.",
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_WINDOW_HITS = SERVED_WINDOWS.gauge(
    "dch_served_window_hits",
    "Lists of the window of which the user has liked an item so far, within this time of the list.",
    jump="As for `dch_served_hits_total`. A short window is young: its hits within 24h are still to come.",
    roles="observer",
    labels={**WINDOW_LABELS, "within": WITHIN},
)
SERVED_WINDOW_TIME_TO_LIKE = SERVED_WINDOWS.gauge(
    "dch_served_window_time_to_like_seconds",
    "Sum of the times from a list of the window to the first like of an item of it, over the hits within 7d.",
    jump="Over the hits within 7d: users decide faster or slower.",
    roles="observer",
    labels=WINDOW_LABELS,
)
SERVED_COVERAGE = SERVED_WINDOWS.gauge(
    "dch_served_coverage_ratio",
    "Share of the catalogue that the lists of the window showed, in the partitions of this observer; the "
    "label value all stands for any value.",
    jump="A fall: lists turn to few items, or there was less traffic.",
    roles="observer",
    labels=EXPOSURE_LABELS,
)
SERVED_GINI = SERVED_WINDOWS.gauge(
    "dch_served_gini_ratio",
    "Gini coefficient of how often the lists of the window showed each item of the catalogue, in the "
    "partitions of this observer: 0 is even, 1 is one item alone; the label value all stands for any value.",
    jump="A rise: lists turn to few items, or there was less traffic.",
    roles="observer",
    labels=EXPOSURE_LABELS,
)
SERVED_GENERATION_LISTS = SERVED_WINDOWS.gauge(
    "dch_served_generation_lists",
    f"Lists in the last 24 hours of record time by generation, of the {N_GENERATIONS} with the largest share "
    "of the lists since their own first one: the newest, if they were in service as long.",
    jump="A refit, or a rollback.",
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_generation_items",
    "Items on these lists.",
    jump=TRAFFIC,
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_NEW_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_generation_new_items",
    "Items on these lists that the fit of the generation never saw.",
    jump="As for `dch_served_new_items_total`.",
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_REPEATED_ITEMS = SERVED_WINDOWS.gauge(
    "dch_served_generation_repeated_items",
    "Items on these lists that an earlier list, of any generation, showed to the same user within 7 days.",
    jump="As for `dch_served_repeated_items_total`.",
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_POPULARITY = SERVED_WINDOWS.gauge(
    "dch_served_generation_popularity_ratings",
    "Sum of the popularity (positive ratings) of the items on these lists.",
    jump="As for `dch_served_popularity_total`.",
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_HITS = SERVED_WINDOWS.gauge(
    "dch_served_generation_hits",
    "Those of these lists of which the user has liked an item so far, within this time of the list.",
    jump=REFIT,
    roles="observer",
    labels={**GENERATION_LABELS, "within": WITHIN},
)
SERVED_GENERATION_TIME_TO_LIKE = SERVED_WINDOWS.gauge(
    "dch_served_generation_time_to_like_seconds",
    "Sum of the times from such a list to the first like of an item of it, over the hits within 7d.",
    jump=REFIT,
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_COVERAGE = SERVED_WINDOWS.gauge(
    "dch_served_generation_coverage_ratio",
    "Share of the catalogue that these lists showed, in the partitions of this observer.",
    jump="As for `dch_served_coverage_ratio`; it rises while a generation is in service.",
    roles="observer",
    labels=GENERATION_LABELS,
)
SERVED_GENERATION_GINI = SERVED_WINDOWS.gauge(
    "dch_served_generation_gini_ratio",
    "Gini coefficient of how often these lists showed each item, as in `dch_served_gini_ratio`.",
    jump="As for `dch_served_gini_ratio`; it falls while a generation is in service.",
    roles="observer",
    labels=GENERATION_LABELS,
)
OBSERVER_NEWEST_TIMESTAMP_SECONDS = gauge(
    "dch_observer_newest_timestamp_seconds",
    "Time of the newest list or rating that this observer has read, since 1970; windows end there.",
    jump="It stands still: no traffic of sampled users, or the observer is behind.",
    roles="observer",
)
OBSERVER_STATE_BYTES = gauge(
    "dch_observer_state_bytes",
    "Memory of the lists and ratings that this observer keeps, estimated, without the ids of items.",
    jump="More traffic, or another --served-share; it holds 8 days.",
    roles="observer",
)
