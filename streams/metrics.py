"""Every Prometheus metric, declared once with its meaning. User and item ids are never labels.

A ratio is a pair of counters, which the reader divides. Each label has a fixed set of values.
"""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
FAST_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

EVENTS = Counter(
    "dch_events_total",
    "Records read, by outcome: applied, replayed, forwarded (to the owner partition) or dead_letter.",
    ["topic", "outcome"],
)
EVENT_TO_VISIBLE_SECONDS = Histogram(
    "dch_event_to_visible_seconds",
    "Time from a record's timestamp until recommendations reflect it; live records only.",
    buckets=SECONDS,
)
REQUEST_DURATION_SECONDS = Histogram(
    "dch_request_duration_seconds",
    "Time from reading a request to queueing its reply; outcome is ok, error or forwarded.",
    ["strategy", "outcome"],
    buckets=FAST_SECONDS,
)
REQUESTS_EXPIRED = Counter(
    "dch_requests_expired_total", "Requests dropped because their deadline has passed."
)
DEAD_LETTERS = Counter(
    "dch_dead_letters_total",
    "Records that can never be processed. A sudden rise means that a producer changed its format.",
    ["topic", "reason"],
)
CONSUMER_LAG_RECORDS = Gauge("dch_consumer_lag_records", "Unread records in the assigned partitions.")
CONSUMER_LAG_SECONDS = Gauge(
    "dch_consumer_lag_seconds",
    "Age of the newest record read, while records are unread; 0 at the end of the topics.",
)
STORE_CODES = Gauge("dch_store_codes", "Number of codes in memory; kind is user or item.", ["kind"])
STORE_BYTES = Gauge("dch_store_bytes", "Memory used by codes and histories.")
MODEL_INFO = Gauge("dch_model_info", "The generation in service has the value 1.", ["generation"])
MODEL_TRAINED_TIMESTAMP_SECONDS = Gauge(
    "dch_model_trained_timestamp_seconds",
    "Time at which the model in service was fitted, in seconds since 1970.",
)
MODEL_SWAP_DURATION_SECONDS = Histogram(
    "dch_model_swap_duration_seconds",
    "Time from reading the pointer to a new generation until that generation is in service.",
    buckets=SECONDS,
)
MODELS_REFUSED = Counter(
    "dch_models_refused_total",
    "Model pointers refused; reason is malformed, outside (of --artifacts), artifact (missing, corrupt or of"
    " another format) or older.",
    ["reason"],
)
REFITS = Counter(
    "dch_refits_total",
    "Fits, by outcome: published, rejected (worse than the model in service), unmeasured (not comparable "
    "with it, so it stays) or failed.",
    ["outcome"],
)
PREQUENTIAL_HITS = Counter(
    "dch_prequential_hits_total",
    "Prequential hits: trials whose item was in the user's list just before its rating was applied.",
    ["cohort"],
)
PREQUENTIAL_TRIALS = Counter(
    "dch_prequential_trials_total",
    "Prequential trials: positive ratings looked up in the user's list before they are applied.",
    ["cohort"],
)
PREQUENTIAL_POPULAR_HITS = Counter(
    "dch_prequential_popular_hits_total",
    "Baseline: trials whose item was in the list of popular items just before its rating was applied.",
    ["cohort"],
)
SNAPSHOT_TIMESTAMP_SECONDS = Gauge(
    "dch_snapshot_timestamp_seconds",
    "Time at which the newest snapshot was written, in seconds since 1970; 0: no role writes snapshots.",
)
REBALANCES = Counter("dch_rebalances_total", "Number of changes of the partitions assigned to this process.")
