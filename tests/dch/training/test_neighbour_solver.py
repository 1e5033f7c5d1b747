"""Neighbours: the solver against plain ridge regressions, and the choice on held-out ratings."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dch import Recommender
from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.models.neighbours import from_columns
from dch.training import auto_settings, fit, fit_model, neighbour_choice, neighbour_solver
from dch.training.item_products import (
    Products,
    RatingsBothWays,
    both_ways,
    history_matrix,
    inner_products,
    make_scratch,
    most_products,
    products_among,
    products_of,
    products_within,
)
from dch.training.neighbour_choice import SIZE, HistorySums
from dch.training.neighbour_solver import fit_neighbours, products_for
from dch.training.ranking_steps import RankingSteps, neighbour_shares
from dch.training.rating_weights import infer_scale
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(bits=16, hidden=32, teacher_factors=8, vector_size=8, steps=20, threads=1, neighbours=None)


def random_bags(n_users=80, n_items=25, seed=0):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)  # so that each pair has a user
    values = rng.integers(1, 6, len(users)).astype(np.float32)
    ratings = Ratings.from_events([f"u{u}" for u in users], [f"i{i}" for i in items], values)
    scale = infer_scale(ratings.values, DchConfig(), graded=True, users=ratings.users)
    return make_training_bags(ratings, scale, min_token_count=3)[0]


def expected_weights(x, k, support, penalty):
    """Regress each column on its support, keep the k largest weights, and regress on these again."""
    gram, n = x.T @ x, x.shape[1]
    weights = np.zeros((n, n))

    def ridge(item, chosen):
        square = gram[np.ix_(chosen, chosen)] + penalty * np.eye(len(chosen))
        return np.linalg.inv(square) @ gram[chosen, item]

    for item in range(n):
        gains = {j: gram[j, item] ** 2 / (gram[j, j] + penalty) for j in range(n) if j != item}
        chosen = sorted(gains, key=lambda j: -gains[j])[:support]
        solved = ridge(item, chosen)
        chosen = [chosen[at] for at in np.argsort(-np.abs(solved))[:k]]
        weights[chosen, item] = ridge(item, chosen)
    return weights


@pytest.mark.parametrize(("k", "support"), [(4, 9), (4, 4), (30, 30)])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_weights_are_those_of_ridge_regressions_on_a_support(monkeypatch, k, support, n_threads):
    monkeypatch.setattr(neighbour_solver, "SUPPORT", support)
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 7.0)
    bags = random_bags()
    rows, weights = fit_neighbours(bags, k, n_threads=n_threads)
    found = np.zeros((bags.n_other, bags.n_other))
    for item in range(bags.n_other):
        for row, weight in zip(rows[item], weights[item], strict=True):
            if row >= 0:
                found[row, item] = weight
    wanted = expected_weights(history_matrix(bags).toarray().astype(np.float64), k, support, 7.0)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert (np.diagonal(found) == 0).all()


def test_with_all_items_as_support_it_is_ease(monkeypatch):
    from dch.training.ease_solver import solve_ease

    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 20.0)
    bags = random_bags()
    rows, weights = fit_neighbours(bags, 24)
    found = np.zeros((bags.n_other, bags.n_other))
    np.put_along_axis(found.T, rows, weights, axis=1)
    assert found == pytest.approx(solve_ease(history_matrix(bags), 20.0), abs=1e-4)


def test_inner_products_are_those_of_the_matrix():
    bags = random_bags()
    x, products = history_matrix(bags).toarray(), inner_products(bags)
    dense = np.zeros((bags.n_other, bags.n_other))
    for item in range(bags.n_other):
        cut = slice(products.starts[item], products.starts[item + 1])
        dense[item, products.items[cut]] = products.values[cut]
    assert dense == pytest.approx(x.T @ x, abs=1e-4)
    assert products.squares == pytest.approx(np.diagonal(dense))


@pytest.mark.parametrize("support", [9, 100])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_items_one_by_one_have_the_weights_of_all_at_once_to_the_bit(monkeypatch, support, n_threads):
    monkeypatch.setattr(neighbour_solver, "SUPPORT", support)
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 3.0)
    bags = sparse_bags()
    all_at_once = fit_neighbours(bags, 4, products=inner_products(bags))
    one_by_one = fit_neighbours(bags, 4, products=both_ways(bags), n_threads=n_threads)
    assert (all_at_once[0] >= 0).sum() > bags.n_other
    for one, other in zip(all_at_once, one_by_one, strict=True):
        assert one.tobytes() == other.tobytes()


def test_products_of_one_item_and_among_some_are_those_of_all_to_the_bit():
    bags = sparse_bags()
    products, histories = inner_products(bags), both_ways(bags)
    scratch = make_scratch(histories)
    assert products.squares.tobytes() == histories.squares.tobytes()
    for item in range(bags.n_other):
        others, values = products_of(histories, item, scratch)
        cut, order = slice(products.starts[item], products.starts[item + 1]), np.argsort(others)
        assert others[order].tolist() == products.items[cut].tolist()
        assert values[order].tobytes() == products.values[cut].tobytes()
        for chosen in (others[:7], others[:0]):
            found = products_within(histories, chosen, scratch)
            assert found.tobytes() == products_among(products, chosen).tobytes()


def test_all_products_are_held_where_items_have_many_ratings_and_they_fit(monkeypatch):
    bags = random_bags()
    assert isinstance(products_for(bags), RatingsBothWays)
    monkeypatch.setattr(neighbour_solver, "MANY_RATINGS", 20)
    assert isinstance(products_for(bags), Products)
    assert len(products_for(bags).items) <= most_products(bags) == bags.n_other**2
    assert len(inner_products(sparse_bags()).items) <= most_products(sparse_bags()) < 60**2
    monkeypatch.setattr(neighbour_solver, "MAX_PRODUCTS", bags.n_other**2 - 1)
    assert isinstance(products_for(bags), RatingsBothWays)


def sparse_bags():
    """Return histories of which many pairs of items have no user, and some equally many."""
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((50, 60)) < rng.random(60) * 0.15)
    values = rng.integers(1, 6, len(users)).astype(np.float32)
    ratings = Ratings.from_events([f"u{u}" for u in users], [f"i{i}" for i in items], values)
    scale = infer_scale(ratings.values, DchConfig(), graded=True, users=ratings.users)
    return make_training_bags(ratings, scale, min_token_count=3)[0]


def chains(n_users=400, n_items=120, seed=0, skew=0.0):
    """Return ratings in which 60 pairs of items go together, more than 8 numbers an item can hold.

    With skew, the first pairs are more popular than the last.
    """
    rng = np.random.default_rng(seed)
    users, items = [], []
    shares = np.arange(1.0, n_items // 2 + 1) ** -skew
    for user in range(n_users):
        for pair in rng.choice(n_items // 2, 6, replace=False, p=shares / shares.sum()):
            users += [f"u{user}"] * 2
            items += [f"i{2 * pair}", f"i{2 * pair + 1}"]
    return Ratings.from_events(users, items, np.ones(len(users), np.float32))


def test_neighbours_are_kept_where_they_help(monkeypatch):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    model = fit_model(chains(), CONFIG)
    assert not model.neighbours.is_empty
    before, after = (model.metrics[f"held_out_ndcg@20 {what} neighbours"] for what in ("without", "with"))
    assert after > before + 0.2
    recommender = Recommender.from_model(model, chains())
    # the user has one item of a pair, so the other one comes first
    assert recommender.recommend_history([("i4", 1.0)], 1)[0].item == "i5"


def test_neighbours_are_left_out_where_they_do_not_help():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((200, 40)) < 0.25)
    noise = Ratings.from_events(
        [f"u{u}" for u in users], [f"i{i}" for i in items], np.ones(len(users), np.float32)
    )
    model = fit_model(noise, CONFIG)
    assert model.neighbours.is_empty
    assert "held_out_ndcg@20 with neighbours" in model.metrics
    assert not fit_model(noise, replace(CONFIG, neighbours=3)).neighbours.is_empty


@pytest.mark.parametrize("neighbours", [3, None])
def test_codes_and_vectors_are_those_of_a_fit_without_neighbours(monkeypatch, neighbours):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    one, other = (fit_model(clusters(), replace(CONFIG, neighbours=k)) for k in (0, neighbours))
    assert one.neighbours.is_empty
    assert neighbour_choice.SHARE not in one.metrics
    assert neighbour_choice.SHARE in other.metrics
    for tower, same in ((one.user_tower, other.user_tower), (one.item_tower, other.item_tower)):
        for field in fields(tower):
            assert getattr(tower, field.name).tobytes() == getattr(same, field.name).tobytes()


@pytest.mark.parametrize("is_kept", [True, False])
def test_vectors_learn_from_item_to_item_weights_only_if_the_model_gets_no_neighbours(monkeypatch, is_kept):
    """Otherwise a fit whose trial says no would have these weights neither in its vectors nor beside them."""
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: is_kept)
    config = replace(CONFIG, teacher_neighbours=0.5)
    shares = []

    def spy(nets, bags, teacher, config, rng):
        shares.append(neighbour_shares(config))
        return RankingSteps(nets, bags, teacher, config, rng)

    monkeypatch.setattr(fit, "RankingSteps", spy)
    model = fit_model(clusters(), config)
    refitted = fit_model(clusters(), config, start=model)
    assert shares == [(0.5, 0.0 if is_kept else 0.5)] * 2
    assert model.neighbours.is_empty == refitted.neighbours.is_empty == (not is_kept)
    assert model.settings["neighbours"] is None
    without = fit_model(clusters(), replace(config, neighbours=0))
    vectors = [one.item_tower.vector_output.tobytes() for one in (model, without)]
    assert (vectors[0] == vectors[1]) == (not is_kept)


def test_sums_over_histories_are_those_of_the_weights_that_are_served():
    bags = random_bags()
    neighbours = from_columns(*fit_neighbours(bags, 5))
    users = np.array([3, 0, 7])
    sums, is_rated = HistorySums(bags, neighbours).of(users)
    for at, user in enumerate(users):
        cut = slice(bags.starts[user], bags.starts[user + 1])
        expected = np.zeros(bags.n_other)
        for item, weight in zip(bags.tokens[cut], bags.weights[cut], strict=True):
            of_item = slice(*neighbours.starts[item : item + 2])
            others = neighbours.items[of_item]
            expected[others] += weight * neighbours.weights[of_item] * neighbours.scales[others].astype(float)
        expected /= np.sqrt((bags.weights[cut].astype(float) ** 2).sum())
        assert sums[at] == pytest.approx(expected, rel=1e-4, abs=1e-2)
        assert np.flatnonzero(is_rated[at]).tolist() == sorted(bags.tokens[cut].tolist())


def test_each_item_has_at_most_as_many_neighbours_as_asked_for(monkeypatch):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    model = fit_model(clusters(), replace(CONFIG, neighbours=3))
    counts = np.bincount(model.neighbours.items, minlength=len(model.item_ids))
    assert 0 < counts.max() <= 3


def test_the_rating_objective_has_no_neighbours():
    config = replace(CONFIG, objective="rating", neighbours=5)
    assert fit_model(clusters(), config).neighbours.is_empty


def test_a_refit_learns_new_neighbours(monkeypatch):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    first = fit_model(clusters(), replace(CONFIG, neighbours=3))
    again = fit_model(clusters(seed=1), replace(CONFIG, neighbours=3), generation=2, start=first)
    assert not again.neighbours.is_empty
    assert again.neighbours.items.tobytes() != first.neighbours.items.tobytes()


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_refit_keeps_the_choice_and_a_first_fit_makes_it(monkeypatch, is_kept):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: is_kept)
    first = fit_model(clusters(), CONFIG)
    assert first.neighbours.is_empty != is_kept
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: pytest.fail("compared again"))
    again = fit_model(clusters(seed=1), CONFIG, generation=2, start=first)
    assert again.neighbours.is_empty != is_kept
    share = neighbour_choice.SHARE
    assert again.metrics[share] == first.metrics[share]
    older = replace(first, metrics={})
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: True)
    assert not fit_model(clusters(seed=1), CONFIG, generation=2, start=older).neighbours.is_empty


@pytest.mark.parametrize(("made", "chosen"), [("chains", 1), ("clusters", 8)])
def test_more_neighbours_are_chosen_only_if_they_are_clearly_better(monkeypatch, made, chosen):
    """Items of chains have one neighbour that counts, those of clusters have many."""
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    monkeypatch.setattr(neighbour_choice, "SIZES", (1, 8))
    ratings = chains() if made == "chains" else clusters()
    assert fit_model(ratings, CONFIG).metrics[SIZE] == chosen


def test_a_teacher_of_more_factors_than_a_vector_has_numbers_is_cut_to_these_in_the_trial(monkeypatch):
    factors = []

    def trial_teacher(bags, config):
        factors.append(config.teacher_factors)
        return auto_settings.trial_teacher(bags, config)

    monkeypatch.setattr(neighbour_choice, "trial_teacher", trial_teacher)
    for most in (4, 16):
        fit_model(clusters(), replace(CONFIG, teacher_factors=most, vector_size=8))
    assert factors == [4, 8]


def test_a_refit_keeps_the_number_and_older_models_have_the_first(monkeypatch):
    monkeypatch.setattr(neighbour_solver, "REGULARIZATION", 5.0)
    monkeypatch.setattr(neighbour_choice, "SIZES", (3, 5))
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: True)
    first = fit_model(clusters(), CONFIG)
    assert first.metrics[SIZE] == 5
    monkeypatch.setattr(neighbour_choice, "is_clear", lambda *_: pytest.fail("compared again"))
    older = replace(first, metrics={name: value for name, value in first.metrics.items() if name != SIZE})
    for start, number in ((first, 5), (older, 3)):
        again = fit_model(clusters(seed=1), CONFIG, generation=2, start=start)
        assert np.bincount(again.neighbours.items).max() == number
        assert again.metrics.get(SIZE) == start.metrics.get(SIZE)


def test_a_number_that_was_asked_for_is_kept_by_a_refit_that_asks_for_none():
    few = clusters().subset(clusters().users < 20)
    first = fit_model(few, replace(CONFIG, neighbours=3))
    assert first.metrics[SIZE] == 3
    fewer = fit_model(few, replace(CONFIG, neighbours=2), generation=2, start=first)
    again = fit_model(few, CONFIG, generation=3, start=fewer)
    for model in (fewer, again):
        assert model.metrics[SIZE] == 2
        assert np.bincount(model.neighbours.items).max() == 2


def test_a_fit_without_neighbours_tries_nothing(monkeypatch):
    monkeypatch.setattr(neighbour_choice, "fit_neighbours", lambda *_, **__: pytest.fail("solved"))
    model = fit_model(clusters(), replace(CONFIG, neighbours=0))
    assert model.neighbours.is_empty
    assert SIZE not in model.metrics


def test_with_too_few_users_to_compare_on_neighbours_need_a_number():
    few = clusters().subset(clusters().users < 20)
    assert fit_model(few, CONFIG).neighbours.is_empty
    assert fit_model(few, replace(CONFIG, neighbours=3)).metrics[neighbour_choice.SHARE] > 0
