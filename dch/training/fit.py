"""Fit a model: from ratings and settings to two frozen towers of one generation."""

import os
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import nn

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.errors import ConfigError, DchError
from dch.models.model import Model
from dch.training.batches import whole_bags
from dch.training.fit_progress import showing, torch_threads
from dch.training.loop import Best, Objective, Progress, peak_rate, run_steps
from dch.training.net import TowerNet
from dch.training.quantize import quantize_towers
from dch.training.ranking_steps import RankingSteps
from dch.training.rating_steps import RatingSteps
from dch.training.refit import continue_from
from dch.training.start import random_start, teacher_start, vector_size
from dch.training.training_data import TrainingData, prepare
from dch.training.validation_measure import make_measure

STEPS = {"ranking": 700, "rating": 300}
"""Tried on a million ratings; half as many lose about .003 of NDCG@20, twice as many win nothing."""

SMALL = 1_000_000
"""Below this many ratings, the steps shrink with the square root of the share, to a quarter at most: in a
stream in order of time, fewer steps foresee more (ML-100K, hit@20: 175 steps .247, 280 .241, 500 .236)."""

EPOCHS = 30
"""Steps are enough for each user to be drawn this often: Amazon books (30,000 users) wants 900, not 700."""

MOST_STEPS = 3000
"""What many users can raise the steps to: about half an hour on two cores."""

REFIT_RATE = 1 / 3
"""Of a fit's learning rate: a refit has few steps, and much to lose."""

GROWN = 1.5
"""Times as many ratings as the last fit from nothing had: refits were tried after a tenth more."""

FITTED = "fitted_ratings"
"""The metric of a model that says how many those were."""

WORTH_THREADS = 300_000
"""Ratings from which on threads pay; below, on a busy machine, waiting for each other costs more."""


def fit_model(
    ratings: Ratings,
    config: DchConfig,
    *,
    generation: int = 1,
    start: Model | None = None,
    progress: bool | Progress | None = None,
) -> Model:
    """Fit both towers to ratings.

    Early stopping, and what is tried before the first step, measure on ratings taken out of these; nothing
    else is looked at.

    Args:
        ratings: the training data, with the features of users and items.
        config: the settings.
        generation: number of the model that comes out.
        start: a previous model to refit: its rows by id and its rating scale are kept, and fewer steps taken.
        progress: True for a bar with loss and time left, or a function of steps done, planned, and loss.

    Raises:
        RatingsError: there are no ratings, or none of them is liked.
        ConfigError: start has another size than the settings ask for, or the device is not there.
        MissingExtraError: the ranking objective's teacher is not installed.
        DchError: the fit diverged.
    """
    _check_start(start, config)
    _check_device(config.device)
    rng = np.random.default_rng(config.seed)
    with torch_threads(_threads(len(ratings), config)), showing(progress) as report:
        material = prepare(ratings, config, start)
        nets = _first_nets(material, config, start, rng)
        objective = _objective(nets, material, config, rng)
        both = nn.ModuleList(nets)
        validation = material.validation
        best = Best(both, make_measure(nets, material.sides, validation, config)) if validation else None
        if start and best:
            best.check()  # where nothing is gained, the weights stay as they were
        config, steps = _schedule(material, config, start, len(ratings))
        done = run_steps(both, objective, config, steps, best, report)
    metrics = {"steps": float(done), FITTED: _fitted(ratings, start)}
    metrics |= {"validation_ndcg@20": best.value} if best else {}
    return _freeze(nets, material, config, generation, metrics)


def _threads(n_ratings: int, config: DchConfig) -> int:
    if config.threads is not None:
        return config.threads
    return 1 if n_ratings < WORTH_THREADS else os.cpu_count() or 1


def _check_start(start: Model | None, config: DchConfig) -> None:
    if start is None:
        return
    if not has_shape(start, config):
        tower = start.user_tower
        raise ConfigError(
            f"start has bits={tower.bits}, hidden={tower.hidden}, vector_size={tower.vector_size}, "
            f"the settings ask for bits={config.bits}, hidden={config.hidden}, "
            f"vector_size={vector_size(config)}; fit without a start, or with its settings"
        )


def has_shape(model: Model, config: DchConfig) -> bool:
    """Say whether a model is of the size that the settings ask for, so that a refit may start from it."""
    tower = model.user_tower
    wanted = (config.bits, config.hidden, vector_size(config))
    return (tower.bits, tower.hidden, tower.vector_size) == wanted


def has_outgrown(model: Model, ratings: Ratings) -> bool:
    """Say whether ratings have become so many that a model's weights, and what was tried then, are of no use.

    A refit has few steps, enough for some more ratings, and never tries settings.
    """
    return len(ratings) > GROWN * model.metrics.get(FITTED, len(ratings))


def _fitted(ratings: Ratings, start: Model | None) -> float:
    """Return how many ratings the last fit from nothing had."""
    return float(len(ratings)) if start is None else start.metrics.get(FITTED, float(len(ratings)))


def _check_device(device: str) -> None:
    found = torch.cuda.device_count()
    wanted = int(device.partition(":")[2] or 0) if device.startswith("cuda") else -1
    if wanted >= found:
        raise ConfigError(f"device {device} is not here: found {found} cuda devices; set device to cpu")


def _first_nets(
    material: TrainingData, config: DchConfig, start: Model | None, rng: np.random.Generator
) -> tuple[TowerNet, TowerNet]:
    if start is not None:
        user, item = continue_from(start, material)
    elif material.teacher is not None:
        user, item = teacher_start(material.sides, material.teacher, config, rng)
    else:
        user, item = (random_start(side, config, rng) for side in material.sides)
    return TowerNet(user).to(config.device), TowerNet(item).to(config.device)


def _objective(
    nets: tuple[TowerNet, TowerNet], material: TrainingData, config: DchConfig, rng: np.random.Generator
) -> Objective:
    if material.teacher is None:
        return RatingSteps(nets, material.sides, config, rng)
    return RankingSteps(nets, material.sides, material.teacher, config, rng)


def _schedule(
    material: TrainingData, config: DchConfig, start: Model | None, n_ratings: int
) -> tuple[DchConfig, int]:
    """Return the settings with the learning rate, and the number of steps."""
    steps = _steps(n_ratings, len(material.sides[0]), config)
    if start is None:
        return config, steps
    rate = config.learning_rate or REFIT_RATE * peak_rate(config)
    return replace(config, learning_rate=rate), max(1, round(steps * config.refit_share))


def _steps(n_ratings: int, n_users: int, config: DchConfig) -> int:
    tried = round(STEPS[config.objective] * max(0.25, min(1.0, (n_ratings / SMALL) ** 0.5)))
    if config.objective == "ranking":
        tried = max(tried, min(EPOCHS * n_users // config.batch, MOST_STEPS))
    return config.steps or tried


def _freeze(
    nets: tuple[TowerNet, TowerNet],
    material: TrainingData,
    config: DchConfig,
    generation: int,
    metrics: dict[str, float],
) -> Model:
    users, items = material.sides
    if not all(weight.isfinite().all() for net in nets for weight in net.parameters()):
        raise DchError(
            "the fit diverged: a weight is no finite number; lower learning_rate, or look for wild ratings"
        )
    with torch.no_grad():
        every = whole_bags(items, np.arange(len(items)), config.feature_weight)
        item_vectors = nets[1].codes_and_vectors(every)[1].cpu().numpy()
    user_tower, item_tower = quantize_towers(nets[0].freeze(), nets[1].freeze(), item_vectors)
    return Model(
        generation=generation,
        user_tower=user_tower,
        item_tower=item_tower,
        user_ids=IdTable(users.ids),
        item_ids=IdTable(items.ids),
        user_tokens=IdTable(users.feature_names),
        item_tokens=IdTable(items.feature_names),
        rating_knots=material.scale.knots,
        feature_weight=config.feature_weight,
        positive_from=material.scale.positive_from,
        settings=asdict(material.config),
        metrics=metrics,
    )
