"""Every Prometheus metric, declared once with its meaning. No user or item id is ever a label.

A ratio is two counters, divided where it is read; label values come from the closed sets named here.
"""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
FAST_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

COHORTS = (
    "existing_user_existing_item",
    "existing_user_new_item",
    "new_user_existing_item",
    "new_user_new_item",
)
"""Cohorts of prequential trials; new: not in the training data of the generation in service."""

EVENTS = Counter(
    "dch_events_total",
    "Records read, by what became of them: applied, replayed, forwarded or dead_letter.",
    ["topic", "outcome"],
)
EVENT_TO_VISIBLE_SECONDS = Histogram(
    "dch_event_to_visible_seconds",
    "From a record's own time to the moment when recommendations know it; live records only.",
    buckets=SECONDS,
)
REQUEST_DURATION_SECONDS = Histogram(
    "dch_request_duration_seconds",
    "From reading a request to handing its reply to the producer; outcome is ok, error or forwarded.",
    ["strategy", "outcome"],
    buckets=FAST_SECONDS,
)
REQUESTS_EXPIRED = Counter(
    "dch_requests_expired_total", "Requests dropped because their deadline had passed."
)
DEAD_LETTERS = Counter(
    "dch_dead_letters_total",
    "Records that can never be processed. A jump means a producer changed its format.",
    ["topic", "reason"],
)
CONSUMER_LAG_RECORDS = Gauge(
    "dch_consumer_lag_records", "Records of the assigned partitions that were not read yet."
)
CONSUMER_LAG_SECONDS = Gauge(
    "dch_consumer_lag_seconds", "Age of the newest rating event read while behind; 0 at the end of the topic."
)
STORE_CODES = Gauge("dch_store_codes", "Codes held; kind is user or item.", ["kind"])
STORE_BYTES = Gauge("dch_store_bytes", "Memory of codes and histories.")
MODEL_INFO = Gauge("dch_model_info", "1 for the generation in service.", ["generation"])
MODEL_TRAINED_TIMESTAMP_SECONDS = Gauge(
    "dch_model_trained_timestamp_seconds", "When the model in service was fitted, seconds since 1970."
)
MODEL_SWAP_DURATION_SECONDS = Histogram(
    "dch_model_swap_duration_seconds",
    "From the pointer to a new generation being read to the generation being in service.",
    buckets=SECONDS,
)
MODELS_REFUSED = Counter(
    "dch_models_refused_total",
    "Pointers to models that were not taken; reason is artifact (missing, corrupt, foreign) or older.",
    ["reason"],
)
REFITS = Counter("dch_refits_total", "Refits; outcome is published, rejected or failed.", ["outcome"])
PREQUENTIAL_HITS = Counter(
    "dch_prequential_hits_total",
    "Positive ratings whose item was in the user's list just before.",
    ["cohort"],
)
PREQUENTIAL_TRIALS = Counter(
    "dch_prequential_trials_total",
    "Positive ratings looked up in the user's list before being learned.",
    ["cohort"],
)
PREQUENTIAL_POPULAR_HITS = Counter(
    "dch_prequential_popular_hits_total",
    "Positive ratings whose item was in the list of the most popular items just before: the rival.",
    ["cohort"],
)
SNAPSHOT_TIMESTAMP_SECONDS = Gauge(
    "dch_snapshot_timestamp_seconds", "When the newest snapshot was written, seconds since 1970."
)
REBALANCES = Counter("dch_rebalances_total", "Times the partitions of this process changed.")
