"""The teacher by neighbours against sums in Python, and its share in the target of a step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dch.config import DchConfig
from dch.training import neighbour_teacher, ranking_steps
from dch.training.initial_weights import random_weights
from dch.training.neighbour_solver import fit_neighbours
from dch.training.neighbour_teacher import NeighbourTeacher
from dch.training.ranking_loss import ranking_loss, target_distribution
from dch.training.ranking_steps import RankingSteps
from dch.training.rating_weights import infer_scale
from dch.training.teacher import fit_teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(
    bits=16,
    hidden=32,
    vector_size=8,
    batch=40,
    sampled_items=30,
    rating_weights="graded",
    teacher_alpha=5.0,
    teacher_factors=8,
    teacher_regularization=1.0,
    teacher_neighbours=0.25,
)


@pytest.fixture(scope="module")
def bags():
    ratings = clusters(n_users=80)
    return make_training_bags(ratings, infer_scale(ratings.values, CONFIG, graded=True), min_token_count=3)


def summed(user_bags, user, item, rows, weights):
    """Return the sum of rating weight * item weight over the history of a user."""
    speaks = dict(zip(rows[item].tolist(), weights[item].tolist(), strict=True))
    cut = slice(user_bags.starts[user], user_bags.starts[user + 1])
    history = zip(user_bags.tokens[cut].tolist(), user_bags.weights[cut].tolist(), strict=True)
    return sum(weight * speaks.get(rated, 0.0) for rated, weight in history)


@pytest.mark.parametrize("k", [3, 64])
def test_a_score_is_the_sum_over_the_history(bags, k, monkeypatch):
    monkeypatch.setattr(neighbour_teacher, "TEACHING_NEIGHBOURS", k)
    teacher = NeighbourTeacher(bags[0])
    columns = fit_neighbours(bags[0], k)
    users, items = np.array([0, 7, 79, 7]), np.array([5, 0, 59])
    expected = [[summed(bags[0], user, item, *columns) for item in items] for user in users]
    assert np.any(np.array(expected) != 0)
    np.testing.assert_allclose(teacher.scores(users, items), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        teacher.scores(users, slice(None))[:, items], teacher.scores(users, items), rtol=1e-6
    )


def test_the_typical_score_is_the_mean_over_users_of_their_mean_over_rated_items(bags):
    teacher, (users, _) = NeighbourTeacher(bags[0]), bags
    scores = teacher.scores(np.arange(len(users)), slice(None))
    means = [
        scores[user, users.tokens[users.starts[user] : users.starts[user + 1]]].mean() for user in range(80)
    ]
    assert teacher.typical_score == pytest.approx(np.mean(means), rel=1e-4)


@pytest.mark.parametrize(
    ("of_codes", "of_vectors", "neighbours", "expected_of_vectors"),
    [
        (0.0, None, None, 0.0),
        (0.25, None, 0, 0.25),  # without neighbours in the lists, vectors learn what codes learn
        (0.25, None, None, 0.0),
        (0.25, 0.25, None, 0.25),
        (1.0, 0.5, None, 0.5),
        (0.0, 0.5, None, 0.5),
    ],
)
def test_codes_and_vectors_learn_from_both_teachers_by_their_shares(
    bags, of_codes, of_vectors, neighbours, expected_of_vectors, monkeypatch
):
    made, learned = [], []

    def spy_of_targets(logits, *arguments, **options):
        seen = logits.clone()
        made.append((target_distribution(logits, *arguments, **options), seen))
        return made[-1][0]

    def spy_of_losses(logits, target, kept):
        learned.append(next(seen for one, seen in made if one is target))
        return ranking_loss(logits, target, kept)

    monkeypatch.setattr(ranking_steps, "target_distribution", spy_of_targets)
    monkeypatch.setattr(ranking_steps, "ranking_loss", spy_of_losses)
    config = replace(
        CONFIG,
        teacher_neighbours=of_codes,
        vector_teacher_neighbours=of_vectors,
        neighbours=neighbours,
    )
    teacher = fit_teacher(bags[0], config)
    nets = tuple(TowerNet(random_weights(of, config, np.random.default_rng(1))) for of in bags)
    RankingSteps(nets, bags, teacher, config, np.random.default_rng(2)).loss()
    rng = np.random.default_rng(2)
    users, items = rng.permutation(80)[:40], rng.choice(60, 30, replace=False)
    by_factors = teacher.users[users] @ teacher.items[items].T
    by_factors /= config.temperature * teacher.typical_score(bags[0])
    weights = NeighbourTeacher(bags[0])
    by_weights = weights.scores(users, items) / (0.1 * weights.typical_score)
    for share, logits in zip((of_codes, expected_of_vectors), learned, strict=True):
        expected = torch.from_numpy((1 - share) * by_factors + share * by_weights)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert len(made) == len({of_codes, expected_of_vectors})
    assert (teacher.neighbours is None) == (of_codes == expected_of_vectors == 0)
