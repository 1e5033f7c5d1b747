"""Command-line options that say how to read a file of ratings, shared by the commands that read one."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

PANEL = "The file of ratings"

TEXTS = {
    "user_column": ("NAME", "Column of the users: its name, or its number from 1."),
    "item_column": ("NAME", "Column of the items."),
    "rating_column": ("NAME", "Column of the ratings; none: each line counts 1."),
    "time_column": ("NAME", "Column of the times; none: the file has no times."),
    "delimiter": ("TEXT", "Separator of the columns, such as ';' or tab; default: by the first line."),
    "encoding": ("NAME", "Encoding of a text file, such as latin-1; default: utf-8."),
}
"""Metavariable and help of each option; the names are those of ``Ratings.read``."""


def with_file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of ``TEXTS`` and ``--no-header``.

    Args:
        command: what it does; takes its arguments and ``file_options``, keywords for ``Ratings.read``.
    """
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "file_options"]
    parameters = [*own, *(_option(name, *texts) for name, texts in TEXTS.items()), _no_header()]

    def run(**given: Any) -> None:  # noqa: ANN401 - typer fills it by the signature below
        command(file_options=_keywords(given), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(sorted(parameters, key=_kind))  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _keywords(given: dict[str, Any]) -> Mapping[str, Any]:
    """Take the options of this file out of all that are given."""
    found = {name: given.pop(name) for name in TEXTS}
    return {**found, "header": not given.pop("no_header")}


def _kind(parameter: inspect.Parameter) -> int:
    return int(parameter.kind)


def _option(name: str, metavar: str, text: str) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    option = typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel=PANEL)
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=Annotated[str | None, option])


def _no_header() -> inspect.Parameter:
    text = "The file has no header; its columns are user, item, rating and time."
    option = typer.Option("--no-header", help=text, rich_help_panel=PANEL)
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter("no_header", kind, default=False, annotation=Annotated[bool, option])
