"""Options of the command line that are settings: made from ``Settings``, so that nothing is said twice."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Annotated, Any

import typer

from streams.setting import env_name, flag_name
from streams.settings import KAFKA_ENV, Settings

CONNECTION = ("bootstrap_servers", "prefix", "broker_timeout_s", "kafka")
TOPICS = (*CONNECTION, "partitions", "replication_factor")
EVERY = tuple(field.name for field in fields(Settings))


def with_settings(command: Callable[..., None], names: Sequence[str]) -> Callable[..., None]:
    """Return a command that has an option for each named setting and is called with ``settings``.

    A setting that the command line does not name comes from the environment or is the default.
    """
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "settings"]
    options = [_option(field) for field in fields(Settings) if field.name in names]

    def run(**given: Any) -> None:  # noqa: ANN401 - typer fills it by the signature below
        flags = {name: given.pop(name) for name in names}
        command(settings=Settings.from_env(flags), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *options)}
    return run


def _option(field: Field[Any]) -> inspect.Parameter:
    is_list = field.name == "kafka"
    environment = KAFKA_ENV + "..." if is_list else env_name(field.name)
    default = "" if is_list or field.default in ("", ()) else f", default {_shown(field.default)}"
    about = typer.Option(
        flag_name(field.name),
        help=f"{field.metadata['meaning']} ({environment}{default})",
        metavar="KEY=VALUE" if is_list else "VALUE",
        show_default=False,
        rich_help_panel="Settings",
    )
    kind = list[str] if is_list else str
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, about]
    )


def _shown(default: object) -> str:
    return ",".join(default) if isinstance(default, tuple) else f"{default}"
