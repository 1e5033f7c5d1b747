"""Fit a model: from ratings and settings to two frozen towers of one generation."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.models.model import Model
from dch.training.fit_progress import FitProgress, report_progress
from dch.training.freeze import freeze_model
from dch.training.initial_weights import (
    random_weights,
    vector_size,
    weights_from_model,
    weights_from_teacher,
)
from dch.training.loop import EarlyStopping, ObjectiveSteps, peak_rate, run_steps, torch_threads
from dch.training.neighbour_choice import choose_neighbours, settings_of_steps, with_neighbours
from dch.training.ranking_steps import RankingSteps
from dch.training.rating_steps import RatingSteps
from dch.training.tower_net import TowerNet
from dch.training.training_data import TrainingData, make_training_data, stops_early
from dch.training.validation import make_measure

STEPS = {"ranking": 700, "rating": 300}
"""Default number of steps, chosen on a million ratings: half as many steps lose about .003 of NDCG@20, twice
as many gain nothing."""

FULL_STEPS_RATINGS = 1_000_000
"""With fewer ratings than this, the steps shrink with the square root of the ratio, to a quarter at least.
Fewer steps predict the next ratings of a time-ordered stream better: on ML-100K, 175 steps give hit@20 .247,
280 steps .241, 500 steps .236."""

MIN_EPOCHS = 30
"""With many users, a fit takes more steps, so that each user is sampled this often: Amazon books, with 30,000
users, needs 900 steps instead of 700."""

MAX_STEPS = 3000
"""Most steps of a fit, however many users there are; about half an hour on two cores."""

REFIT_RATE = 1 / 3
"""Peak learning rate of a refit, relative to a full fit: it has few steps and starts from good weights."""

FULL_FIT_GROWTH = 1.5
"""A full fit is needed once there are more than this many times the ratings of the last full fit. Refits were
tested after 10% more ratings."""

FITTED_RATINGS = "fitted_ratings"
"""Name of the metric in a model that holds the number of ratings of the last full fit."""


def fit_model(
    ratings: Ratings,
    config: DchConfig,
    *,
    generation: int = 1,
    start: Model | None = None,
    progress: bool | FitProgress | None = None,
) -> Model:
    """Fit both towers to ratings.

    Early stopping and automatic settings are decided on ratings held out from these; no other data is used.

    Args:
        ratings: the training data, with the features of users and items.
        config: the settings.
        generation: number of the new model.
        start: a previous model, for a refit: its rows are kept by id, its rating scale and its kind of codes
            (``relaxed_users``) are kept, and the refit takes fewer steps than a fit.
        progress: True shows a bar with the loss and the time left; a function is called after each step with
            the steps done, the steps planned and the loss.

    Raises:
        RatingsError: there are no ratings, or none of them is positive.
        ConfigError: start has another size than the settings, or the device does not exist.
        MissingExtraError: the ranking objective's teacher is not installed.
        DchError: the fit diverged.
    """
    _check_start(start, config)
    _check_device(config.device)
    if start is not None:
        config = replace(config, relaxed_users=start.is_weighted)
    rng = np.random.default_rng(config.seed)
    with torch_threads(config.threads or 1), report_progress(progress) as report:
        training_data, n_threads = make_training_data(ratings, config, start), config.threads or 1
        choice = choose_neighbours(ratings, training_data.config, start=start, n_threads=n_threads)
        nets = _initial_nets(training_data, config, start, rng)
        learned = settings_of_steps(training_data.config, choice)
        objective = _objective_steps(nets, training_data, config, learned, rng)
        both_nets = nn.ModuleList(nets)
        early_stopping = _early_stopping(nets, both_nets, training_data, config)
        if start and early_stopping:
            early_stopping.check()  # the old weights stay if no step improves on them
        config, steps = _schedule(training_data, config, start, len(ratings))
        done = run_steps(both_nets, objective, config, steps, early_stopping, report)
        metrics = {"steps": float(done), FITTED_RATINGS: _fitted_ratings(ratings, start)}
        metrics |= {"validation_ndcg@20": early_stopping.best_score} if early_stopping else {}
        model = freeze_model(
            nets, training_data, feature_weight=config.feature_weight, generation=generation, metrics=metrics
        )
        return with_neighbours(model, nets, training_data, choice, n_threads=n_threads)


def has_shape(model: Model, config: DchConfig) -> bool:
    """Return whether a model has the size that the settings ask for, so that a refit can start from it."""
    tower = model.user_tower
    wanted = (config.bits, config.hidden, vector_size(config))
    return (tower.bits, tower.hidden, tower.vector_size) == wanted


def needs_full_fit(model: Model, ratings: Ratings) -> bool:
    """Return whether the ratings have grown so much since the last full fit that a refit is not enough.

    A refit takes few steps, which suit a small growth, and it keeps the automatic settings of the full fit.
    """
    return len(ratings) > FULL_FIT_GROWTH * model.metrics.get(FITTED_RATINGS, len(ratings))


def refit_steps(n_ratings: int, n_users: int, config: DchConfig) -> int:
    """Return the number of steps of a refit, and of an update."""
    return max(1, round(_full_fit_steps(n_ratings, n_users, config) * config.refit_share))


def _fitted_ratings(ratings: Ratings, start: Model | None) -> float:
    """Return the number of ratings of the last full fit."""
    return float(len(ratings)) if start is None else start.metrics.get(FITTED_RATINGS, float(len(ratings)))


def _check_start(start: Model | None, config: DchConfig) -> None:
    if start is None:
        return
    if not has_shape(start, config):
        tower = start.user_tower
        raise ConfigError(
            f"start has bits={tower.bits}, hidden={tower.hidden}, vector_size={tower.vector_size}, "
            f"the settings ask for bits={config.bits}, hidden={config.hidden}, "
            f"vector_size={vector_size(config)}; fit without a start, or with the settings of the start"
        )


def _check_device(device: str) -> None:
    found = torch.cuda.device_count()
    wanted = int(device.partition(":")[2] or 0) if device.startswith("cuda") else -1
    if wanted >= found:
        raise ConfigError(f"device {device} does not exist: found {found} CUDA devices; set device to cpu")


def _initial_nets(
    training_data: TrainingData, config: DchConfig, start: Model | None, rng: np.random.Generator
) -> tuple[TowerNet, TowerNet]:
    if start is not None:
        user, item = weights_from_model(start, training_data)
    elif training_data.teacher is not None:
        user, item = weights_from_teacher(training_data.bags, training_data.teacher, config, rng)
    else:
        user, item = (random_weights(bags, config, rng) for bags in training_data.bags)
    return TowerNet(user).to(config.device), TowerNet(item).to(config.device)


def _objective_steps(
    nets: tuple[TowerNet, TowerNet],
    training_data: TrainingData,
    config: DchConfig,
    learned: DchConfig,
    rng: np.random.Generator,
) -> ObjectiveSteps:
    if training_data.teacher is None:
        return RatingSteps(nets, training_data.bags, config, rng)
    return RankingSteps(nets, training_data.bags, training_data.teacher, learned, rng)


def _early_stopping(
    nets: tuple[TowerNet, TowerNet], both_nets: nn.ModuleList, training_data: TrainingData, config: DchConfig
) -> EarlyStopping | None:
    if training_data.validation is None or not stops_early(config):
        return None
    return EarlyStopping(both_nets, make_measure(nets, training_data.bags, training_data.validation, config))


def _schedule(
    training_data: TrainingData, config: DchConfig, start: Model | None, n_ratings: int
) -> tuple[DchConfig, int]:
    """Return the settings with the learning rate, and the number of steps."""
    n_users = len(training_data.bags[0])
    if start is None:
        return config, _full_fit_steps(n_ratings, n_users, config)
    rate = config.learning_rate or REFIT_RATE * peak_rate(config)
    return replace(config, learning_rate=rate), refit_steps(n_ratings, n_users, config)


def _full_fit_steps(n_ratings: int, n_users: int, config: DchConfig) -> int:
    steps = round(STEPS[config.objective] * max(0.25, min(1.0, (n_ratings / FULL_STEPS_RATINGS) ** 0.5)))
    if config.objective == "ranking":
        steps = max(steps, min(MIN_EPOCHS * n_users // config.batch, MAX_STEPS))
    return config.steps or steps
