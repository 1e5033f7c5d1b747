import sys

import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import MissingExtraError
from dch.training.scale import read_scale
from dch.training.teacher import Teacher, fit_teacher
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters

CONFIG = DchConfig(teacher_factors=8, teacher_alpha=5.0, teacher_regularization=1.0)


def _user_side():
    ratings = clusters()
    return make_training_bags(ratings, read_scale(ratings.values, CONFIG, graded=True), min_token_count=3)[0]


def test_the_teacher_scores_items_of_the_own_cluster_higher():
    side = _user_side()
    teacher = fit_teacher(side, CONFIG)
    scores = teacher.users @ teacher.items.T
    items = sorted({f"i{i}" for i in range(60)}, key=lambda id_: int(id_[1:]))
    assert scores.shape == (len(side.ids), len(items))
    assert np.isfinite(scores).all()


def test_equal_seeds_give_equal_teachers():
    once, again = fit_teacher(_user_side(), CONFIG), fit_teacher(_user_side(), CONFIG)
    assert np.array_equal(once.users, again.users)
    assert np.array_equal(once.items, again.items)


def test_without_implicit_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(
        MissingExtraError,
        match=r"needs implicit, which is not installed; run: pip install 'dch-streams\[fit\]'",
    ):
        fit_teacher(_user_side(), CONFIG)


def test_the_usual_score_is_the_mean_over_users_of_the_mean_over_what_they_rated():
    side = _user_side()
    teacher = fit_teacher(side, CONFIG)
    scores = teacher.users @ teacher.items.T
    rows = [side.tokens[a:b] for a, b in zip(side.starts[:-1], side.starts[1:], strict=True)]
    expected = np.mean([scores[user, row].mean() for user, row in enumerate(rows)])
    assert teacher.usual_score(side) == pytest.approx(expected, rel=1e-4)


def test_a_teacher_of_another_scale_teaches_the_same():
    side = _user_side()
    teacher = fit_teacher(side, CONFIG)
    double = Teacher(2 * teacher.users, teacher.items)
    assert double.usual_score(side) == pytest.approx(2 * teacher.usual_score(side), rel=1e-5)
