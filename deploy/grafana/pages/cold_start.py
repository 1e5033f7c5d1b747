"""Cold start: lists for users and items outside of the training data, and what became of what was shown."""

from dataclasses import replace

from panels import HIT_RATES, NEW_USERS, SERVED_HITS, Dashboard, Panel, table

NO_RATINGS = "<prefix>,window='1h',cohort='no_ratings'"
ALL = "window='1h',strategy='all',cohort='all'"
SERVED_ROWS = (
    (
        "What was shown: liked?",
        (
            replace(SERVED_HITS, width=6),
            Panel(
                "Served hit rate by number of ratings (1 h)",
                "percentunit",
                "The same by how many ratings the user had when the list was made.",
                (("{{cohort}}", "cohort:dch_served_window_hits:ratio_1h{<prefix>}"),),
                width=6,
            ),
            Panel(
                "Users without ratings: by strategy (1 h)",
                "percentunit",
                "Served hit rate of users without a single rating. features: lists from what else is known "
                "about the user. popular: nothing is known.",
                (
                    (
                        "{{strategy}}",
                        f"sum by (strategy) (dch_served_window_hits{{{NO_RATINGS},within='1h'}}) "
                        f"/ (sum by (strategy) (dch_served_window_lists{{{NO_RATINGS}}}) > 0)",
                    ),
                ),
                width=6,
            ),
            Panel(
                "Served hit rate by generation and arm (24 h)",
                "percentunit",
                "Lists of the last 24 hours that were liked within an hour, of the newest generations.",
                (
                    (
                        "{{generation}} {{arm}}",
                        "sum by (generation, arm) "
                        "(dch_served_generation_hits{<prefix>,within='1h'}) "
                        "/ (sum by (generation, arm) (dch_served_generation_lists{<prefix>}) > 0)",
                    ),
                ),
                width=6,
            ),
        ),
    ),
    (
        "What was shown: how wide?",
        (
            Panel(
                "New items on lists (1 h)",
                "percentunit",
                "Share of the positions that held an item which the model was not fitted on: "
                "exposure of new items.",
                (("{{strategy}}", "strategy:dch_served_window_new_items:ratio_1h{<prefix>}"),),
                width=6,
            ),
            Panel(
                "Repeats (1 h)",
                "percentunit",
                "Share of the positions that held an item which the same user had been shown within 7 days.",
                (("{{strategy}}", "strategy:dch_served_window_repeated_items:ratio_1h{<prefix>}"),),
                width=6,
            ),
            Panel(
                "Coverage and popularity bias (1 h)",
                "percentunit",
                "Coverage: share of the catalogue that was shown; of several observers the "
                "largest. Gini: 0 is even, 1 is "
                "one item alone.",
                (
                    ("coverage", f"max by (prefix) (dch_served_coverage_ratio{{<prefix>,{ALL}}})"),
                    ("Gini", f"max by (prefix) (dch_served_gini_ratio{{<prefix>,{ALL}}})"),
                ),
                width=6,
            ),
            Panel(
                "Time from list to like (1 h)",
                "s",
                "Mean over the lists of the last hour that were liked.",
                (
                    (
                        "mean",
                        "sum by (prefix) (dch_served_window_time_to_like_seconds{<prefix>,window='1h'}) "
                        "/ sum by (prefix) (dch_served_window_hits{<prefix>,window='1h',within='7d'})",
                    ),
                ),
                width=6,
            ),
        ),
    ),
)

COLD_START = Dashboard(
    "dch-cold-start",
    "Cold start",
    "How good lists are for users and items that the model in service was not fitted on.",
    (
        (
            "Hit rate",
            (
                HIT_RATES,
                Panel(
                    "Popular items by cohort (1 h)",
                    "percentunit",
                    "The baseline: share of the same ratings whose item was in the list of popular items.",
                    (("{{cohort}}", "cohort:dch_prequential_popular_hits:ratio_rate1h{<prefix>}"),),
                ),
                NEW_USERS,
            ),
        ),
        (
            "Where it comes from",
            (
                Panel(
                    "Trials by cohort",
                    "wps",
                    "Positive ratings that were tested, a second. A refit makes new users and items known.",
                    (("{{cohort}}", "cohort:dch_prequential_trials:rate1h{<prefix>}"),),
                ),
                Panel(
                    "Requests by strategy",
                    "reqps",
                    "Requests by the strategy of the reply: a user about whom nothing is known gets the "
                    "popular list, whatever was asked for.",
                    (
                        (
                            "{{strategy}}",
                            "sum by (strategy) (rate(dch_request_duration_seconds_count"
                            "{<all>,outcome='ok'}[$__rate_interval]))",
                        ),
                    ),
                ),
                table(
                    "Last refits: before and after",
                    "percentunit",
                    "NDCG@20 on the newest ratings: the candidate before its last update, and the model "
                    "that was in service. A generation appears twice, once for each model. Empty until a "
                    "refit was measured.",
                    "max by (generation, model) (dch_refit_ndcg_ratio{<prefix>})",
                    width=8,
                ),
            ),
        ),
        *SERVED_ROWS,
    ),
)
