"""Texts of the tools."""

import pytest

from streams.cli.texts import counted


@pytest.mark.parametrize(("n", "text"), [(0, "0 ratings"), (1, "1 rating"), (2000, "2,000 ratings")])
def test_one_of_a_thing_is_singular(n, text):
    assert counted(n, "rating") == text
