"""An update: a few steps on new ratings alone; more than folding them in, less than a refit on everything.

It fits no teacher, has no old rating as a target, and keeps the rating scale and every id of the model.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.models.model import Model, Vocabulary
from dch.models.towers import TowerWeights
from dch.training.batches import whole_bags
from dch.training.fit_progress import torch_threads
from dch.training.loop import Objective, run_steps
from dch.training.net import TowerNet
from dch.training.quantize import quantize_towers
from dch.training.ranking_steps import FIRST_SCALE, RankingSteps
from dch.training.rating_steps import RatingSteps
from dch.training.refit import continue_from
from dch.training.scale import Scale
from dch.training.teacher import Teacher
from dch.training.training_bags import TrainingBags, make_training_bags
from dch.training.training_data import TrainingData
from dch.training.update_targets import join, with_update_targets

Nets = tuple[TowerNet, TowerNet]
Sides = tuple[TrainingBags, TrainingBags]

STEPS = 60
LEARNING_RATES = {"ranking": 1e-3, "rating": 3e-4}
"""Peaks, a tenth of those of a fit; tried on held-out parts of training ratings, as the steps were."""

CODE_SHARPNESS = 1.5
"""Logits of relaxed user codes for those of codes: relaxed ones are shorter."""

DRAWN_ITEMS = 3000
"""Items of one step: more than in a fit, for steps are few and new items should be in most of them."""

ROWS_AT_ONCE = 4096
"""Rows encoded at a time, which bounds the memory."""


def update_model(
    model: Model,
    train: Ratings,
    given: Ratings,
    config: DchConfig,
    *,
    steps: int | None = None,
    seed: int = 0,
) -> Model:
    """Take a few small steps on new ratings.

    Users and items that the fit did not see get a row in the bags, mapped from their codes by what holds for
    those it saw. Bags are whole histories; the users drawn are those with new ratings, and only new ratings
    are targets. The teacher of ``ranking`` is the model before the update, so that what it knew is not
    forgotten. There is no early stopping.

    Args:
        model: the model, fitted on train.
        train: the ratings it was fitted on.
        given: the new ratings, over the same id tables; one of a pair that train has replaces it.
        config: the settings of the fit; without a learning rate, that of updates is taken.
        steps: how many; None: the tried number.
        seed: start of every draw.

    Returns:
        A model of the next generation; the same model when nothing is given.
    """
    if not len(given):
        return model
    joined, is_new = join(train, given)
    scale = Scale(model.rating_knots, model.positive_from)
    sides = make_training_bags(joined, scale, min_token_count=config.min_token_count)
    config = _of_update(config, model)
    nets = _first_nets(model, scale, sides, config)
    focus = with_update_targets(sides[0], is_new[np.argsort(joined.users, kind="stable")])
    objective = _objective(nets, (focus, sides[1]), config, np.random.default_rng(seed))
    with torch_threads(config.threads or torch.get_num_threads()):
        done = run_steps(nn.ModuleList(nets), objective, config, steps or STEPS, None, lambda *_: None)
    return _freeze(model, nets, sides, config, {**model.metrics, "update_steps": float(done)})


def _of_update(config: DchConfig, model: Model) -> DchConfig:
    """Return the settings of the steps; the shape is the model's."""
    return replace(
        config,
        bits=model.bits,
        hidden=model.user_tower.hidden,
        vector_size=model.user_tower.vector_size,
        learning_rate=config.learning_rate or LEARNING_RATES[config.objective],
        sampled_items=max(config.sampled_items, DRAWN_ITEMS),
    )


def _first_nets(model: Model, scale: Scale, sides: Sides, config: DchConfig) -> Nets:
    """Return the model's towers; rows of new ids come from their codes, as a refit's from its teacher."""
    bare = _as_nets(continue_from(model, TrainingData(config, scale, sides, None, None)), config)
    users, items = (_encode(net, side, config)[0].numpy() for net, side in zip(bare, sides, strict=True))
    codes = Teacher(users, items)
    return _as_nets(continue_from(model, TrainingData(config, scale, sides, None, codes)), config)


def _as_nets(towers: tuple[TowerWeights, TowerWeights], config: DchConfig) -> Nets:
    user, item = (TowerNet(tower).to(config.device) for tower in towers)
    return user, item


@torch.no_grad()
def _encode(net: TowerNet, side: TrainingBags, config: DchConfig) -> tuple[Tensor, Tensor]:
    """Return relaxed codes, (n, bits), and ranking vectors, (n, vector_size), of whole bags."""
    parts = [np.arange(a, min(len(side), a + ROWS_AT_ONCE)) for a in range(0, len(side), ROWS_AT_ONCE)]
    made = [net.codes_and_vectors(whole_bags(side, part, config.feature_weight)) for part in parts]
    codes, vectors = (torch.cat(columns).cpu() for columns in zip(*made, strict=True))
    return codes, vectors


def _objective(nets: Nets, sides: Sides, config: DchConfig, rng: np.random.Generator) -> Objective:
    if config.objective == "rating":
        return RatingSteps(nets, sides, config, rng)
    return RankingSteps(nets, sides, _self_teacher(nets, sides, config), config, rng)


def _self_teacher(nets: Nets, sides: Sides, config: DchConfig) -> Teacher:
    """Return what the model itself says before the first step, as sharp as its own softmax."""
    (codes, vectors), (item_codes, item_vectors) = (
        _encode(net, side, config) for net, side in zip(nets, sides, strict=True)
    )
    if vectors.shape[1]:  # their products are logits
        return Teacher((config.temperature * vectors).numpy(), item_vectors.numpy(), unit=1.0)
    sharpness = config.temperature * CODE_SHARPNESS * FIRST_SCALE / config.bits
    return Teacher((sharpness * codes).numpy(), torch.where(item_codes > 0, 1.0, -1.0).numpy(), unit=1.0)


def _freeze(model: Model, nets: Nets, sides: Sides, config: DchConfig, metrics: dict[str, float]) -> Model:
    users, items = sides
    _, item_vectors = _encode(nets[1], items, config)
    towers = quantize_towers(nets[0].freeze(), nets[1].freeze(), item_vectors.numpy())
    of_users = _extended(model.user_tower, model.user_vocabulary, towers[0], users, items.ids)
    of_items = _extended(model.item_tower, model.item_vocabulary, towers[1], items, users.ids)
    return replace(
        model,
        generation=model.generation + 1,
        user_tower=of_users[0],
        item_tower=of_items[0],
        item_ids=of_users[1].others,
        user_ids=of_items[1].others,
        user_tokens=of_users[1].features,
        item_tokens=of_items[1].features,
        metrics=metrics,
    )


def _extended(
    old: TowerWeights, vocabulary: Vocabulary, new: TowerWeights, side: TrainingBags, others: list[str]
) -> tuple[TowerWeights, Vocabulary]:
    """Return the new tower over all tokens: those of before in their order, then those that came."""
    ids, names = IdTable([*vocabulary.others, *others]), IdTable([*vocabulary.features, *side.feature_names])
    bag = np.zeros((len(ids) + len(names), old.hidden), np.float32)
    n_others = len(vocabulary.others)
    bag[:n_others] = old.bag[:n_others]
    bag[len(ids) : len(ids) + len(vocabulary.features)] = old.bag[n_others:]
    bag[np.concatenate([ids.rows(others), len(ids) + names.rows(side.feature_names)])] = new.bag
    return replace(new, bag=bag), Vocabulary(ids, names)
