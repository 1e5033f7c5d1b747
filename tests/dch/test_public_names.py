"""All public names of ``dch`` are in one list."""

from types import ModuleType

import pytest

import dch


def test_the_list_of_public_names_is_complete_and_sorted():
    public = {
        name
        for name, value in vars(dch).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert dch.__all__ == sorted(public | {"__version__"})


@pytest.mark.parametrize("name", [name for name in dch.__all__ if name != "__version__"])
def test_every_public_name_has_its_own_docstring(name):
    assert vars(getattr(dch, name))["__doc__"].strip()


def test_the_version_is_that_of_the_installed_package():
    assert dch.__version__[0].isdecimal()
