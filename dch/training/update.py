"""An update: a few small training steps on new ratings alone, between folding in and refitting.

It changes the weights, which folding in does not. Unlike a refit it fits no teacher, takes no old rating as a
target, and keeps the rating scale and all ids of the model.
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
from dch.training.batches import whole_bags
from dch.training.feature_regression import fit_feature_codes
from dch.training.freeze import quantize_towers
from dch.training.initial_weights import weights_from_model
from dch.training.loop import ObjectiveSteps, run_steps, torch_threads
from dch.training.ranking_steps import INITIAL_LOGIT, RankingSteps
from dch.training.rating_steps import RatingSteps
from dch.training.rating_weights import RatingScale
from dch.training.teacher import Teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.training_data import TrainingData
from dch.training.update_targets import merge_ratings, with_update_targets

Nets = tuple[TowerNet, TowerNet]
BothBags = tuple[TrainingBags, TrainingBags]

UPDATE_STEPS = 60
UPDATE_RATES = {"ranking": 1e-3, "rating": 3e-4}
"""Peak learning rates, a tenth of a fit's. Steps and rates were chosen on held-out training ratings."""

CODE_SHARPNESS = 1.5
"""Factor between the logits of relaxed user codes and those of binary codes; relaxed codes are shorter."""

UPDATE_SAMPLED_ITEMS = 3000
"""Items sampled in one step: more than in a fit, so that most of the few steps include the new items."""

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
    """Take a few small steps on new ratings.

    New users and items get bag rows, mapped from their codes by a ridge regression fitted on the known ids.
    Bags hold whole histories. Batches are drawn from the users with new ratings, and only new ratings are
    targets. For ``ranking``, the model before the update is the teacher, which keeps the new weights close to
    the old ones. There is no early stopping.

    Args:
        model: the model, fitted on train.
        train: the ratings of that fit.
        new: the new ratings, over the id tables of train; a new rating replaces the old one of its pair.
        config: the settings of the fit; without a learning rate, the default of updates is used.
        steps: number of steps; None for the default.
        seed: seed of all random draws.

    Returns:
        A model of the next generation; the same model if there are no new ratings.
    """
    if not len(new):
        return model
    merged, is_new = merge_ratings(train, new)
    scale = RatingScale(model.rating_knots, model.positive_from)
    bags = make_training_bags(merged, scale, min_token_count=config.min_token_count)
    config = _update_settings(config, model)
    nets = _initial_nets(model, scale, bags, config)
    target_bags = with_update_targets(bags[0], is_new[np.argsort(merged.users, kind="stable")])
    objective = _objective_steps(nets, (target_bags, bags[1]), config, np.random.default_rng(seed))
    with torch_threads(config.threads or 1):
        done = run_steps(nn.ModuleList(nets), objective, config, steps or UPDATE_STEPS, None, lambda *_: None)
    return _next_model(model, nets, bags, config, {**model.metrics, "update_steps": float(done)})


def _update_settings(config: DchConfig, model: Model) -> DchConfig:
    """Return the settings of the steps; the sizes and the kind of codes are those of the model."""
    return replace(
        config,
        relaxed_users=model.is_weighted,
        bits=model.bits,
        hidden=model.user_tower.hidden,
        vector_size=model.user_tower.vector_size,
        learning_rate=config.learning_rate or UPDATE_RATES[config.objective],
        sampled_items=max(config.sampled_items, UPDATE_SAMPLED_ITEMS),
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
    nets: Nets, bags: BothBags, config: DchConfig, rng: np.random.Generator
) -> ObjectiveSteps:
    if config.objective == "rating":
        return RatingSteps(nets, bags, config, rng)
    return RankingSteps(nets, bags, _self_teacher(nets, bags, config), config, rng)


def _self_teacher(nets: Nets, bags: BothBags, config: DchConfig) -> Teacher:
    """Return the model before the first step as a teacher, scaled so that its softmax is the model's own."""
    (codes, vectors), (item_codes, item_vectors) = (
        _encode(net, of_side, config) for net, of_side in zip(nets, bags, strict=True)
    )
    if vectors.shape[1]:  # products of ranking vectors are logits
        return Teacher((config.temperature * vectors).numpy(), item_vectors.numpy(), score_unit=1.0)
    sharpness = config.temperature * CODE_SHARPNESS * INITIAL_LOGIT / config.bits
    return Teacher(
        (sharpness * codes).numpy(), torch.where(item_codes > 0, 1.0, -1.0).numpy(), score_unit=1.0
    )


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
