"""Every Prometheus metric, declared once with its meaning; those of the observer are in ``served_metrics``.

User and item ids are never labels. A ratio is a pair of counters, which the reader divides. Each label has a
fixed set of values, or few at a time: a generation is a label of gauges alone, which go when it does.
"""

from streams.metric_types import ANY, batch_histogram, counter, gauge, histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
FAST_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
LONG_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)

INPUTS = ("ratings", "users", "items", "item-ratings", "item-codes", "models", "requests", "served")
"""The topics whose bad records become dead letters: a worker reads all of them but `served`."""

COHORTS = (
    "existing_user_existing_item",
    "existing_user_new_item",
    "new_user_existing_item",
    "new_user_new_item",
)
REASONS = ("field", "key", "header", "json", "time", "tombstone", "cloudevent", "refused")
OUTCOMES = ("published", "rejected", "unmeasured", "failed")
TASKS = ("ratings", "item-ratings", "item-codes", "requests")

EVENTS = counter(
    "dch_events_total",
    "Records read, by outcome: applied, replayed, forwarded (to the owner partition) or dead_letter.",
    jump="A burst of producers, or a replay after a restart. No growth of ratings: producers are silent.",
    roles="worker observer",
    labels={"topic": INPUTS, "outcome": ("applied", "replayed", "forwarded", "dead_letter")},
)
EVENT_TO_VISIBLE_SECONDS = batch_histogram(
    "dch_event_to_visible_seconds",
    "Time from a record's timestamp until recommendations reflect it; of records that are not replayed "
    "after a restart or rebalance; those published before the first worker started count.",
    jump="Workers lag behind, or a producer stamps its records with an old time.",
    roles="worker",
    buckets=SECONDS,
)
REQUEST_DURATION_SECONDS = histogram(
    "dch_request_duration_seconds",
    "Time from reading a request to queueing its reply; outcome is ok, error, refused (limit) or forwarded.",
    jump="Requests are heavier (long histories, large k), arrive in bursts, or the machine is busy.",
    roles="worker",
    labels={"strategy": ANY, "outcome": ("ok", "error", "refused", "forwarded")},
    buckets=FAST_SECONDS,
)
REQUESTS_EXPIRED = counter(
    "dch_requests_expired_total",
    "Requests dropped because their deadline has passed.",
    jump="Workers were down or behind for longer than the deadline of the clients.",
    roles="worker",
)
DEAD_LETTERS = counter(
    "dch_dead_letters_total",
    "Records that can never be processed.",
    jump="A producer changed its format.",
    roles="worker observer",
    labels={"topic": INPUTS, "reason": REASONS},
)
DEAD_LETTER_RECORDS = gauge(
    "dch_dead_letter_records",
    "Dead letters that the broker retains.",
    jump="A producer changed its format. It falls only when letters expire or are deleted.",
    roles="trainer",
    labels={"topic": INPUTS},
)
DEAD_LETTER_AGE_SECONDS = gauge(
    "dch_dead_letter_age_seconds",
    "Age of the oldest dead letter that the broker retains; 0 if there is none.",
    jump="It grows while nobody looks at the dead letters; a fall to 0 means that they were deleted.",
    roles="trainer",
    labels={"topic": INPUTS},
)
CONSUMER_LAG_RECORDS = gauge(
    "dch_consumer_lag_records",
    "Unread records of an assigned partition, up to the first open transaction.",
    jump="Producers are faster than this process, or it has just started and reads the log.",
    roles="worker trainer observer",
    labels={"topic": ANY, "partition": ANY},
)
CONSUMER_LAG_SECONDS = gauge(
    "dch_consumer_lag_seconds",
    "Upper bound of the age of the oldest unread record of an assigned partition; 0 at its end.",
    jump="As for the lag in records. Growth by a second a second in one partition: nothing is read from it.",
    roles="worker trainer observer",
    labels={"topic": ANY, "partition": ANY},
)
WORK_SECONDS = counter(
    "dch_work_seconds_total",
    "Time spent on records, by task, without waiting for the broker.",
    jump="Over the number of records it is the cost of one: longer histories, more items, or a busy machine.",
    roles="worker",
    labels={"task": TASKS},
)
STORE_CODES = gauge(
    "dch_store_codes",
    "Number of codes in memory; kind is user or item.",
    jump="Up: many new ids. Down: partitions went to another worker, or a new generation is in service.",
    roles="worker",
    labels={"kind": ("user", "item")},
)
STORE_RATINGS = gauge(
    "dch_store_ratings",
    "Number of ratings in the histories of users, withdrawn ones included.",
    jump="As for the codes of users.",
    roles="worker",
)
STORE_BYTES = gauge(
    "dch_store_bytes",
    "Memory of codes and sums of users, of items, and of the histories of both (kind rating); no ids.",
    jump="Arrays double when they are full, so a step up to twice as much is normal.",
    roles="worker",
    labels={"kind": ("user", "item", "rating")},
)
MEMORY_BYTES = gauge(
    "dch_memory_bytes",
    "Memory of the container without reclaimable file cache; outside of one, of this process.",
    jump="Up for a while during a fit or a swap; steady growth ends in an out-of-memory kill.",
    roles="worker trainer observer",
)
MEMORY_LIMIT_BYTES = gauge(
    "dch_memory_limit_bytes",
    "Memory limit of the container; without one, the memory of the machine.",
    jump="The role runs with other limits.",
    roles="worker trainer observer",
)
BUILD_INFO = gauge(
    "dch_build_info",
    "The version that runs has the value 1.",
    jump="A new version was started. Two versions at once: an upgrade is under way.",
    roles="worker trainer observer",
    labels={"version": ANY, "python": ANY},
)
READY = gauge(
    "dch_ready",
    "Each check of /readyz: 1 if it is met, otherwise 0.",
    jump="0: the role does not answer requests from complete state; the check says what is missing.",
    roles="worker trainer observer",
    labels={"check": ANY},
)
MODEL_INFO = gauge(
    "dch_model_info",
    "The generation in service has the value 1; generation_hash tells models of one generation apart.",
    jump="A new generation is in service. Two at once for minutes: one worker cannot load it.",
    roles="worker",
    labels={"generation": ANY, "generation_hash": ANY, "location": ANY},
)
MODEL_TRAINED_TIMESTAMP_SECONDS = gauge(
    "dch_model_trained_timestamp_seconds",
    "Time at which the model in service was fitted, in seconds since 1970.",
    jump="A new generation is in service. No change for long: refits fail, are rejected or are not due.",
    roles="worker",
)
MODEL_SWAP_DURATION_SECONDS = histogram(
    "dch_model_swap_duration_seconds",
    "Time from reading the pointer to a new generation until that generation is in service.",
    jump="Another worker cannot load the generation: a swap waits for its item codes.",
    roles="worker",
    buckets=SECONDS,
)
MODELS_REFUSED = counter(
    "dch_models_refused_total",
    "Model pointers refused; reason is malformed, outside (of --artifacts), artifact (corrupt or of"
    " another format), missing (the store holds others, but not this one) or older.",
    jump="An artifact is damaged or was deleted, or roles have different --artifacts.",
    roles="worker",
    labels={"reason": ("malformed", "outside", "artifact", "missing", "older")},
)
TRAINER_ACTIVE = gauge(
    "dch_trainer_active",
    "1 while this trainer is the active one of its group, 0 while it stands by.",
    jump="Another trainer took over: this one left the group, or was not heard of for the session timeout.",
    roles="trainer",
)
MODEL_LOAD_FAILURES = counter(
    "dch_model_load_failures_total",
    "Failed attempts to read an announced model from the artifact store; each is repeated.",
    jump="The store fails, or an artifact is missing there. After --model-load-timeout-s the worker is"
    " not ready.",
    roles="worker",
)
ITEM_CODES_AWAITED = gauge(
    "dch_item_codes_awaited_codes",
    "Item codes of the next generation that other workers have yet to publish; the swap waits for them.",
    jump="More than 0 for minutes: another worker cannot load the next generation.",
    roles="worker",
)
REFITS = counter(
    "dch_refits_total",
    "Fits, by outcome: published, rejected (worse than the model in service), unmeasured (not comparable "
    "with it, so it stays) or failed.",
    jump="Outcomes other than published: the model in service gets old.",
    roles="trainer",
    labels={"outcome": OUTCOMES},
)
REFIT_DURATION_SECONDS = histogram(
    "dch_refit_duration_seconds",
    "Duration of a fit, measurement included.",
    jump="More ratings, a fit from scratch instead of a refit, or a busy machine.",
    roles="trainer",
    buckets=LONG_SECONDS,
)
REFIT_NEW_RATINGS = gauge(
    "dch_refit_new_ratings",
    "Rating events that no fit has begun with; a refit is due at --refit-ratings.",
    jump="It falls when a fit begins. Above --refit-ratings for long: fits take longer than ratings arrive.",
    roles="trainer",
)
REFIT_NDCG = gauge(
    "dch_refit_ndcg_ratio",
    "NDCG@20 on the newest ratings, of the candidate before its last update and of the model in service, "
    "for the last five measured refits.",
    jump="A candidate far below the model in service: look at the newest ratings.",
    roles="trainer",
    labels={"generation": ANY, "model": ("candidate", "in_service")},
)
PREQUENTIAL_HITS = counter(
    "dch_prequential_hits_total",
    "Prequential hits: trials whose item was in the user's list just before its rating was applied.",
    jump="Over the trials it is the live hit rate; a fall means worse lists, or other users than before.",
    roles="worker",
    labels={"cohort": COHORTS},
)
PREQUENTIAL_TRIALS = counter(
    "dch_prequential_trials_total",
    "Prequential trials: positive ratings looked up in the user's list before they are applied.",
    jump="More ratings of this cohort. A refit makes new users known, so cohorts change with it.",
    roles="worker",
    labels={"cohort": COHORTS},
)
PREQUENTIAL_POPULAR_HITS = counter(
    "dch_prequential_popular_hits_total",
    "Baseline: trials whose item was in the list of popular items just before its rating was applied.",
    jump="Users rate what everybody rates; compare the hit rate with it.",
    roles="worker",
    labels={"cohort": COHORTS},
)
PREQUENTIAL_SHARE_RATIO = gauge(
    "dch_prequential_share_ratio",
    "Share of new positive ratings that are trials; halved while trials take over 5% of a core.",
    jump="Ratings arrive faster than all can be tried. Hits over trials stay comparable; their noise grows.",
    roles="worker",
)
SNAPSHOT_TIMESTAMP_SECONDS = gauge(
    "dch_snapshot_timestamp_seconds",
    "Time at which the newest snapshot was written, in seconds since 1970; 0: no role writes snapshots.",
    jump="No change for long: a restart reads more of the log.",
    roles="worker",
)
REBALANCES = counter(
    "dch_rebalances_total",
    "Number of changes of the partitions assigned to this process.",
    jump="Workers come and go, or one misses its heartbeats.",
    roles="worker observer",
)

BROKER_ERRORS = counter(
    "dch_broker_errors_total",
    "Errors of brokers and of the connections to them, by kind; moving: a leader or a coordinator is being "
    "elected. The kinds unreachable and moving are retried for --broker-patience-s.",
    jump="A broker is away or restarts, or a password, a right or a certificate has changed.",
    roles="worker trainer observer",
    labels={"kind": ("unreachable", "moving", "authentication", "authorization", "tls", "other")},
)
