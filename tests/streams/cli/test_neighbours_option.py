"""``--neighbours`` of ``dch train``, ``dch evaluate`` and ``dch trainer``."""

import pytest

from streams.cli.checks import parse_neighbours
from streams.errors import SettingsError
from streams.settings import TrainerSettings
from streams.settings.sources import load
from streams.trainer.main import _fit_config


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("32", 32), ("auto", None)])
def test_a_number_or_auto_reaches_the_settings_of_the_fit(text, number):
    assert parse_neighbours(text) == number
    settings = load(TrainerSettings, {"neighbours": text}, config=None)
    assert _fit_config(settings).neighbours == number


@pytest.mark.parametrize("text", ["-1", "some", "1.5", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(SettingsError, match="neighbours"):
        parse_neighbours(text)


@pytest.mark.parametrize("text", ["-1", "some", "2000"])
def test_the_trainer_refuses_it_too(text):
    with pytest.raises(SettingsError, match="neighbours"):
        load(TrainerSettings, {"neighbours": text}, config=None)
