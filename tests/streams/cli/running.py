"""Run the command line in this process, as the console command does."""

import sys
from typing import NamedTuple

import pytest

from streams.cli.main import main


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def dch(monkeypatch, capsys):
    """Run ``dch`` with these arguments."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(ended.value.code or 0, out, err)

    return run
