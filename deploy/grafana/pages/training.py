"""Training: refits, and what they gave."""

from panels import Dashboard, Panel, table

TRAINING = Dashboard(
    "dch-training",
    "Training",
    "Fits and models: what was published, how good it was, what is in service.",
    (
        (
            "Refits",
            (
                Panel(
                    "Refits by outcome",
                    "short",
                    "Fits of the last hour. rejected: worse than the model in service. "
                    "unmeasured: not comparable.",
                    (("{{outcome}}", "sum by (outcome) (increase(dch_refits_total{<prefix>}[1h]))"),),
                ),
                Panel(
                    "NDCG@20: candidate and model in service",
                    "percentunit",
                    "On the newest ratings, before the last update of the candidate. Empty until a refit was "
                    "measured.",
                    (
                        (
                            "{{generation}} {{model}}",
                            "max by (generation, model) (dch_refit_ndcg_ratio{<prefix>})",
                        ),
                    ),
                ),
                Panel(
                    "Duration of fits",
                    "s",
                    "Mean of the last hour, measurement included.",
                    (
                        (
                            "mean",
                            "sum(rate(dch_refit_duration_seconds_sum{<prefix>,job='trainer'}[1h])) "
                            "/ sum(rate(dch_refit_duration_seconds_count{<prefix>,job='trainer'}[1h]))",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Models",
            (
                Panel(
                    "New ratings",
                    "short",
                    "Ratings that no fit has begun with; a refit is due at --refit-ratings.",
                    (("waiting", "dch_refit_new_ratings{<prefix>,job='trainer'}"),),
                ),
                Panel(
                    "Age of the model",
                    "s",
                    "Since the fit of the newest model in service.",
                    (("age", "prefix:dch_model_age_seconds:min{<prefix>}"),),
                    warn_at=86400,
                    alarm_at=172800,
                ),
                Panel(
                    "Swaps",
                    "s",
                    "Time from a pointer to its model in service: the mean of the last hour.",
                    (
                        (
                            "mean",
                            "sum(rate(dch_model_swap_duration_seconds_sum{<prefix>,job='worker'}[1h])) "
                            "/ sum(rate(dch_model_swap_duration_seconds_count{<prefix>,job='worker'}[1h]))",
                        ),
                    ),
                ),
            ),
        ),
        (
            "In service",
            (
                table(
                    "Models by location and hash",
                    "short",
                    "Which worker serves which generation, from where; the hash is that of its manifest.",
                    "max by (instance, generation, generation_hash, location) (dch_model_info{<prefix>})",
                    width=16,
                ),
                Panel(
                    "Models refused",
                    "short",
                    "Pointers that workers did not follow, in the last hour.",
                    (("{{reason}}", "sum by (reason) (increase(dch_models_refused_total{<prefix>}[1h]))"),),
                    warn_at=1,
                ),
            ),
        ),
    ),
)
