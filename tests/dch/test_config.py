import pytest

from dch.config import DchConfig
from dch.errors import ConfigError


def test_the_defaults_are_valid():
    assert DchConfig() == DchConfig(bits=64, hidden=256)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"bits": 60}, "bits must be a multiple of 8 from 8 to 256, got 60"),
        ({"bits": 264, "hidden": 512}, "bits must be a multiple of 8"),
        ({"hidden": 32}, r"hidden must be at least bits \(64\), got 32"),
        ({"objective": "lists"}, "objective must be one of ranking, rating, got 'lists'"),
        ({"optimizer": "lion"}, "optimizer must be one of adam, sgd, got 'lion'"),
        ({"device": "tpu"}, "device must be cpu, cuda"),
        ({"steps": 0}, "steps must be positive, or None, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive, or None"),
        ({"user_dropout": 1.5}, "user_dropout must be from 0 to 1, got 1.5"),
        ({"validation_users": 0.0}, "validation_users must be above 0"),
        ({"temperature": float("nan")}, "temperature must be a positive number, got nan"),
        ({"vector_size": 1025}, "vector_size must be from 0 to 1024, got 1025"),
        ({"neighbours": -1}, "neighbours must be from 0 to 1000, or None, got -1"),
        ({"seed": -1}, "seed must be zero or more"),
        ({"positive_from": float("inf")}, "positive_from must be a finite number"),
        ({"rating_knots": ()}, "rating_knots must be in ascending order"),
        ({"rating_knots": ((2.0, 1.0), (1.0, 1.0))}, "rating_knots must be in ascending order"),
        ({"rating_knots": ((1.0, -1.0),)}, "weights of zero or more"),
    ],
)
def test_the_error_for_a_setting_out_of_range_names_the_setting_and_the_value(setting, message):
    with pytest.raises(ConfigError, match=message):
        DchConfig(**setting)
