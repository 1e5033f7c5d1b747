from dataclasses import replace

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.data.splits import holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.ranked_lists import make_lists, make_task, measure_lists
from dch.evaluation.report import MetricKey
from dch.models.feature_codes import FeatureCodes, check_feature_codes
from dch.training import fit_model, update
from dch.training.ranking_steps import RankingSteps, neighbour_shares
from dch.training.rating_weights import RatingScale
from dch.training.update import _arranged, update_model
from dch.training.update_targets import merge_ratings
from tests.dch.random_models import encode_items
from tests.dch.training.data import clusters

CONFIG = DchConfig(
    bits=16,
    hidden=32,
    vector_size=16,
    teacher_factors=8,
    teacher_alpha=5.0,
    teacher_regularization=1.0,
    steps=20,
    batch=64,
)
NOTHING = np.zeros(0, int)


def _world(**changed):
    """Return a split with held-out users and items, and a model fitted to its training part."""
    split = holdout(
        clusters(n_users=160, features=True), np.random.default_rng(0), user_share=0.2, item_share=0.2
    )
    model = fit_model(split.train, replace(CONFIG, **changed))
    return model, split


def _new_taste():
    """Return ratings before the fit, new ratings after it, and test ratings.

    Old users like one of four groups of items. New users like half of the items of two groups, a pattern that
    the fit cannot learn from the old users.
    """
    rng = np.random.default_rng(0)
    events = []
    for user in range(160):
        own = rng.permutation(np.arange(user % 4, 60, 4))
        events += [(f"u{user}", f"i{item}", 5.0, 0) for item in own[:8]]
        events += [
            (f"u{user}", f"i{item}", 2.0, 0) for item in rng.permutation(60)[:3] if item % 4 != user % 4
        ]
    for user in range(40):
        own = rng.permutation([item for item in range(60) if item % 8 in (user % 2, user % 2 + 1)])
        events += [(f"n{user}", f"i{item}", 5.0, 1 + (at >= 8)) for at, item in enumerate(own)]
    ratings = Ratings.from_events(*zip(*events, strict=True))
    return tuple(ratings.subset(ratings.timestamps == part) for part in range(3))


def _quality(model, given, test):
    """Return the NDCG@20 of lists by codes and of reranked lists, for users with a liked test rating."""
    all_users, all_items = np.ones(given.n_users, bool), np.ones(given.n_items, bool)
    task = make_task(all_users, all_items, given=[given], test=test, relevant_from=4.0)
    measured = measure_lists(make_lists(serve(model, given), task, n_threads=1), task, "all")
    return [measured[MetricKey(strategy, "all", "ndcg@20")].mean for strategy in ("codes", "codes+rerank")]


def test_an_update_improves_the_lists_of_new_users_with_a_new_pattern():
    train, given, test = _new_taste()
    model = fit_model(train, CONFIG)
    known = merge_ratings(train, given)[0]
    frozen = _quality(model, known, test)
    updated = _quality(update_model(model, train, given, CONFIG, steps=60), known, test)
    assert min(frozen) < 0.7
    assert min(updated) > max(frozen) + 0.1


def test_an_update_takes_the_steps_of_a_refit():
    model, split = _world()
    updated = update_model(model, split.train, split.user_given, CONFIG)
    assert updated.metrics["update_steps"] == round(CONFIG.steps * CONFIG.refit_share)


def _same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


@pytest.mark.parametrize("objective", ["ranking", "rating"])
def test_an_update_adds_new_ids_and_keeps_the_old_ids_and_the_rating_scale(objective):
    model, split = _world(objective=objective)
    config = replace(CONFIG, objective=objective)
    updated = update_model(model, split.train, split.item_given, config, steps=3)
    assert updated.generation == model.generation + 1
    assert updated.item_ids.ids()[: len(model.item_ids)] == model.item_ids.ids()
    new = sorted(set(updated.item_ids) - set(model.item_ids))
    assert new == sorted({split.train.item_ids[row] for row in split.item_given.items})
    assert updated.user_tower.bag[updated.item_ids.rows(new)].any(axis=1).all()
    assert np.array_equal(updated.rating_knots, model.rating_knots)
    assert updated.positive_from == model.positive_from
    assert updated.metrics["update_steps"] == 3


def test_an_update_learns_the_feature_codes_again_and_keeps_the_rows_of_the_tokens():
    model, split = _world()
    same = update_model(model, split.train, split.item_given, replace(CONFIG, learning_rate=1e-12), steps=1)
    assert same.item_tokens.ids() == model.item_tokens.ids()
    before, after = model.feature_codes.table, same.feature_codes.table
    assert 0 < np.abs(after - before).mean() < 0.3 * np.abs(before).mean()  # there are more items
    moved = update_model(model, split.train, split.item_given, CONFIG, steps=20)
    assert not np.array_equal(moved.feature_codes.table, after)


def test_a_token_that_no_item_has_any_more_adds_nothing():
    before = FeatureCodes(np.array([1, 2, (1 << 32) | 2]), np.arange(7, dtype=np.float32)[:, None])
    names, tokens = ["c", "b", "a"], IdTable(["a", "gone", "b", "c"])
    after = _arranged(before, names, tokens)
    check_feature_codes(after, len(tokens), 1)
    assert not after.table[1]
    for chosen in ([], [0], [0, 2], [0, 1, 2]):  # rows of names
        rows = np.sort(tokens.rows([names[row] for row in chosen]))
        starts = np.array([0, len(chosen)])
        assert after.outputs(starts, rows) == before.outputs(starts, np.array(chosen, np.int32))


def test_an_update_without_new_ratings_returns_the_same_model():
    model, split = _world()
    assert update_model(model, split.train, split.test.subset(NOTHING), CONFIG) is model


def test_equal_seeds_give_equal_updates_and_different_seeds_different_ones():
    model, split = _world()
    one, again, other = (
        update_model(model, split.train, split.user_given, CONFIG, steps=3, seed=seed) for seed in (1, 1, 2)
    )
    assert _same(one.user_tower, again.user_tower)
    assert _same(one.item_tower, again.item_tower)
    assert not _same(one.user_tower, other.user_tower)


def test_a_tiny_step_leaves_the_codes_of_known_users_unchanged():
    model, split = _world()
    config = replace(CONFIG, learning_rate=1e-12)
    updated = update_model(model, split.train, split.user_given, config, steps=1)
    codes = [each.encode_users(split.train.by_user, split.train.item_ids) for each in (model, updated)]
    np.testing.assert_allclose(*codes, atol=1e-5)


def _arguments_of_steps(monkeypatch, *arguments, **others):
    """Update a model, and return what its steps of the ranking objective were made of."""
    seen = []

    def spy(*given):
        seen.append(given)
        return RankingSteps(*given)

    monkeypatch.setattr(update, "RankingSteps", spy)
    update_model(*arguments, steps=1, **others)
    return seen[0]


def test_the_teacher_of_an_update_solves_least_squares_over_old_and_new_ratings(monkeypatch):
    config = replace(CONFIG, teacher_iterations=100)  # its solver is approximate until ALS has converged
    model, split = _world()
    known = merge_ratings(split.train, split.item_given)[0]
    arguments = (model, split.train, split.item_given, config)
    _, (users, items), teacher, _, _ = _arguments_of_steps(monkeypatch, *arguments)
    assert set(items.ids) == {known.item_ids[row] for row in known.items}
    scale = RatingScale(model.rating_knots, model.positive_from)
    for row, item in enumerate(items.ids):
        of_item = known.items == known.item_ids.rows([item])[0]
        raters = [users.ids.index(known.user_ids[user]) for user in known.users[of_item]]
        confidence = CONFIG.teacher_alpha * scale.weights(known.values[of_item])
        expected = _least_squares(teacher.users, raters, confidence)
        np.testing.assert_allclose(teacher.items[row], expected, atol=1e-3)


def _least_squares(factors, rated, confidence):
    """Return the vector of an item with the least weighted squared error: 1 for its raters, 0 for others."""
    weights, wanted = np.ones(len(factors)), np.zeros(len(factors))
    weights[rated], wanted[rated] = confidence, 1.0
    gram = factors.T @ (weights[:, None] * factors) + CONFIG.teacher_regularization * np.eye(factors.shape[1])
    return np.linalg.solve(gram, factors.T @ (weights * wanted))


def test_an_update_keeps_the_choices_of_the_fit_and_draws_all_users(monkeypatch):
    model, split = _world(teacher_alpha=20.0)
    config = replace(CONFIG, teacher_alpha=None)
    arguments = (model, split.train, split.item_given, config)
    _, (users, _), _, used, _ = _arguments_of_steps(monkeypatch, *arguments)
    assert used.teacher_alpha == 20.0
    every = {split.train.user_ids[row] for part in (split.train, split.item_given) for row in part.users}
    assert set(users.ids) == every


def test_only_new_ratings_are_targets_of_equation_1():
    model, split = _world(objective="rating")
    config = replace(CONFIG, objective="rating", lambda_user=0.0, lambda_item=0.0, mu=1e-9)
    given = split.item_given
    updated = update_model(model, split.train, given, config, steps=200)
    fitted, seen = (
        _error(updated, split, part) - _error(model, split, part) for part in (given, split.train)
    )
    assert fitted < 0
    assert fitted < seen


def _error(model, split, part):
    """Return the mean squared error of products of relaxed codes on ratings scaled to [-1, 1]."""
    ratings = merge_ratings(split.train, split.item_given)[0]
    users = model.encode_users(ratings.by_user, ratings.item_ids)
    items = encode_items(model, ratings.by_item, ratings.user_ids)
    products = (users[part.users] * items[part.items]).mean(axis=1)
    return float(np.square(products - (2 * (part.values - 2) / 3 - 1)).mean())


@pytest.mark.parametrize("neighbours", [0, 4])
def test_vectors_of_a_model_without_neighbours_learn_from_item_to_item_weights_in_an_update(
    monkeypatch, neighbours
):
    train, given, _ = _new_taste()
    model = fit_model(train, replace(CONFIG, neighbours=neighbours))
    assert model.neighbours.is_empty == (neighbours == 0)
    shares = []

    def steps(nets, bags, teacher, config, rng):
        shares.append(neighbour_shares(config))
        return RankingSteps(nets, bags, teacher, config, rng)

    monkeypatch.setattr(update, "RankingSteps", steps)
    update_model(model, train, given, replace(CONFIG, teacher_neighbours=0.5), steps=1)
    assert shares == [(0.5, 0.0 if neighbours else 0.5)]
