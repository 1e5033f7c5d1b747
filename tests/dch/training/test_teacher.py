import sys

import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import MissingExtraError
from dch.training.rating_weights import infer_scale
from dch.training.teacher import Teacher, fit_teacher
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(teacher_factors=8, teacher_alpha=5.0, teacher_regularization=1.0)


def _user_bags():
    ratings = clusters()
    return make_training_bags(ratings, infer_scale(ratings.values, CONFIG, graded=True), min_token_count=3)[0]


def test_the_teacher_scores_every_item_for_every_user():
    bags = _user_bags()
    teacher = fit_teacher(bags, CONFIG)
    scores = teacher.users @ teacher.items.T
    items = sorted({f"i{i}" for i in range(60)}, key=lambda id_: int(id_[1:]))
    assert scores.shape == (len(bags.ids), len(items))
    assert np.isfinite(scores).all()


def test_equal_seeds_give_equal_teachers():
    once, again = fit_teacher(_user_bags(), CONFIG), fit_teacher(_user_bags(), CONFIG)
    assert np.array_equal(once.users, again.users)
    assert np.array_equal(once.items, again.items)


def test_without_implicit_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(
        MissingExtraError,
        match=r"needs implicit, which is not installed; run: pip install -c constraints.txt '.\[fit\]'",
    ):
        fit_teacher(_user_bags(), CONFIG)


def test_the_typical_score_is_the_mean_over_users_of_their_mean_over_rated_items():
    bags = _user_bags()
    teacher = fit_teacher(bags, CONFIG)
    scores = teacher.users @ teacher.items.T
    rows = [bags.tokens[a:b] for a, b in zip(bags.starts[:-1], bags.starts[1:], strict=True)]
    expected = np.mean([scores[user, row].mean() for user, row in enumerate(rows)])
    assert teacher.typical_score(bags) == pytest.approx(expected, rel=1e-4)


def test_the_typical_score_scales_with_the_factors():
    bags = _user_bags()
    teacher = fit_teacher(bags, CONFIG)
    double = Teacher(2 * teacher.users, teacher.items)
    assert double.typical_score(bags) == pytest.approx(2 * teacher.typical_score(bags), rel=1e-5)
