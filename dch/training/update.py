"""An update: a few training steps with the new ratings, between folding in and refitting.

It changes the weights, which folding in does not. Unlike a refit it keeps all ids of the model.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.models.feature_codes import FeatureCodes
from dch.models.model import Model, Vocabulary
from dch.models.towers import TowerWeights
from dch.training.auto_settings import resolve_auto_settings
from dch.training.batches import whole_bags
from dch.training.feature_regression import fit_feature_codes
from dch.training.fit import REFIT_RATE, refit_steps
from dch.training.freeze import quantize_towers
from dch.training.initial_weights import weights_from_model
from dch.training.loop import ObjectiveSteps, peak_rate, run_steps, torch_threads
from dch.training.ranking_steps import RankingSteps
from dch.training.rating_steps import RatingSteps
from dch.training.rating_weights import RatingScale
from dch.training.teacher import Teacher, fit_teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.training_data import TrainingData
from dch.training.update_targets import Bools, merge_ratings, with_update_targets

Nets = tuple[TowerNet, TowerNet]
BothBags = tuple[TrainingBags, TrainingBags]

UPDATE_RATE = {"ranking": REFIT_RATE, "rating": 1 / 10}
"""Peak learning rate of an update, relative to a fit."""

ROWS_AT_ONCE = 4096
"""Rows encoded at a time; limits the memory."""


def update_model(
    model: Model,
    train: Ratings,
    new: Ratings,
    config: DchConfig,
    *,
    steps: int | None = None,
    seed: int = 0,
) -> Model:
    """Take a few small steps that learn from new ratings.

    New users and items get bag rows, mapped from their codes by a ridge regression fitted on the known ids.
    Bags hold whole histories. For ``ranking``, a teacher is fitted to old and new ratings, and steps draw all
    users: steps that draw only the users with new ratings make the lists of all others worse. For ``rating``,
    only new ratings are targets. There is no early stopping.

    Args:
        model: the model, fitted on train.
        train: the ratings of that fit.
        new: the new ratings, over the id tables of train; a new rating replaces the old one of its pair.
        config: the settings of the fit; without a learning rate, the default of updates is used.
        steps: number of steps; None for those of a refit.
        seed: seed of all random draws.

    Returns:
        A model of the next generation; the same model if there are no new ratings.

    Raises:
        MissingExtraError: the teacher of ``ranking`` is not installed.
    """
    if not len(new):
        return model
    merged, is_new = merge_ratings(train, new)
    scale = RatingScale(model.rating_knots, model.positive_from)
    bags = make_training_bags(merged, scale, min_token_count=config.min_token_count)
    config = _update_settings(config, model, merged)
    nets = _initial_nets(model, scale, bags, config)
    is_new = is_new[np.argsort(merged.users, kind="stable")]  # in the order of the bags
    with torch_threads(config.threads or 1):
        objective = _objective_steps(nets, bags, is_new, config, np.random.default_rng(seed))
        steps = steps or refit_steps(len(merged), len(bags[0]), config)
        done = run_steps(nn.ModuleList(nets), objective, config, steps, None, lambda *_: None)
    return _next_model(model, nets, bags, config, {**model.metrics, "update_steps": float(done)})


def _update_settings(config: DchConfig, model: Model, ratings: Ratings) -> DchConfig:
    """Return the settings of the steps; sizes, kind of codes and settings of the teacher are the model's."""
    return replace(
        resolve_auto_settings(config, ratings, model),
        relaxed_users=model.is_weighted,
        bits=model.bits,
        hidden=model.user_tower.hidden,
        vector_size=model.user_tower.vector_size,
        neighbours=0 if model.neighbours.is_empty else config.neighbours,
        learning_rate=config.learning_rate or UPDATE_RATE[config.objective] * peak_rate(config),
    )


def _initial_nets(model: Model, scale: RatingScale, bags: BothBags, config: DchConfig) -> Nets:
    """Return the model's towers, with a bag row for each new id.

    The rows of new ids come from their codes, as the rows in a refit come from the teacher's factors.
    """
    without_new_ids = _as_nets(
        weights_from_model(model, TrainingData(config, scale, bags, None, None)), config
    )
    users, items = (
        _encode(net, of_side, config)[0].numpy() for net, of_side in zip(without_new_ids, bags, strict=True)
    )
    codes = Teacher(users, items)
    return _as_nets(weights_from_model(model, TrainingData(config, scale, bags, None, codes)), config)


def _as_nets(towers: tuple[TowerWeights, TowerWeights], config: DchConfig) -> Nets:
    user, item = (TowerNet(tower).to(config.device) for tower in towers)
    return user, item


@torch.no_grad()
def _encode(net: TowerNet, bags: TrainingBags, config: DchConfig) -> tuple[Tensor, Tensor]:
    """Return relaxed codes, (n, bits), and ranking vectors, (n, vector_size), of whole bags."""
    parts = [np.arange(a, min(len(bags), a + ROWS_AT_ONCE)) for a in range(0, len(bags), ROWS_AT_ONCE)]
    encoded = [net.codes_and_vectors(whole_bags(bags, part, config.feature_weight)) for part in parts]
    codes, vectors = (torch.cat(columns).cpu() for columns in zip(*encoded, strict=True))
    return codes, vectors


def _objective_steps(
    nets: Nets, bags: BothBags, is_new: Bools, config: DchConfig, rng: np.random.Generator
) -> ObjectiveSteps:
    if config.objective == "rating":
        return RatingSteps(nets, (with_update_targets(bags[0], is_new), bags[1]), config, rng)
    return RankingSteps(nets, bags, fit_teacher(bags[0], config), config, rng)


def _next_model(
    model: Model, nets: Nets, bags: BothBags, config: DchConfig, metrics: dict[str, float]
) -> Model:
    users, items = bags
    _, item_vectors = _encode(nets[1], items, config)
    towers = quantize_towers(nets[0].freeze(), nets[1].freeze(), item_vectors.numpy())
    user_tower, user_vocabulary = _extended(
        model.user_tower, model.user_vocabulary, towers[0], users, items.ids
    )
    item_tower, item_vocabulary = _extended(
        model.item_tower, model.item_vocabulary, towers[1], items, users.ids
    )
    feature_codes = fit_feature_codes(towers[1], items, config.feature_weight)
    return replace(
        model,
        generation=model.generation + 1,
        generation_hash="",
        user_tower=user_tower,
        item_tower=item_tower,
        item_ids=user_vocabulary.others,
        user_ids=item_vocabulary.others,
        user_tokens=user_vocabulary.features,
        item_tokens=item_vocabulary.features,
        feature_codes=_arranged(feature_codes, items.feature_names, item_vocabulary.features),
        metrics=metrics,
    )


def _extended(
    old: TowerWeights, vocabulary: Vocabulary, new: TowerWeights, bags: TrainingBags, other_ids: list[str]
) -> tuple[TowerWeights, Vocabulary]:
    """Return the new tower over all tokens: the old tokens in their order, then the new ones."""
    ids = IdTable([*vocabulary.others, *other_ids])
    names = IdTable([*vocabulary.features, *bags.feature_names])
    bag = np.zeros((len(ids) + len(names), old.hidden), np.float32)
    n_others = len(vocabulary.others)
    bag[:n_others] = old.bag[:n_others]
    bag[len(ids) : len(ids) + len(vocabulary.features)] = old.bag[n_others:]
    bag[np.concatenate([ids.rows(other_ids), len(ids) + names.rows(bags.feature_names)])] = new.bag
    return replace(new, bag=bag), Vocabulary(ids, names)


def _arranged(found: FeatureCodes, names: list[str], tokens: IdTable) -> FeatureCodes:
    """Return feature codes of these names by row of all tokens; a token that no item has any more adds 0."""
    if found.is_empty:
        return found
    rows, n = tokens.rows(names).astype(np.int64), len(names)
    ends = np.sort([rows[found.pairs >> 32], rows[found.pairs & 0xFFFFFFFF]], axis=0)
    pairs = (ends[0] << 32) | ends[1]
    order = np.argsort(pairs)
    of_tokens = np.zeros((len(tokens), found.table.shape[1]), np.float32)
    of_tokens[rows] = found.table[:n]
    return FeatureCodes(pairs[order], np.concatenate([of_tokens, found.table[n:-1][order], found.table[-1:]]))
