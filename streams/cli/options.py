"""Command-line options for settings, made from the settings classes so that each is declared once."""

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperGroup

from streams.errors import SettingsError
from streams.settings import ClientSettings, KafkaSettings, ObserverSettings, TrainerSettings, WorkerSettings
from streams.settings.kafka_settings import KAFKA_PREFIX, as_text, flag_name, variable_name
from streams.settings.sources import CONFIG_VARIABLE, ROLES, load

CONNECTION = ("bootstrap_servers", "prefix", "broker_timeout_s", "kafka")
TOPICS = (*CONNECTION, "partitions", "replication_factor")

FLAGS: Mapping[str, tuple[type[KafkaSettings], Iterable[str]]] = {
    "worker": (WorkerSettings, tuple(WorkerSettings.model_fields)),
    "trainer": (TrainerSettings, tuple(TrainerSettings.model_fields)),
    "observer": (
        ObserverSettings,
        (
            *CONNECTION,
            "partitions",
            "broker_patience_s",
            "group",
            "metrics_host",
            "metrics_port",
            "show_interval_s",
        ),
    ),
    "recommend": (ClientSettings, (*CONNECTION, "request_timeout_s")),
    "publish": (KafkaSettings, (*TOPICS, "linger_ms", "broker_patience_s", "key_form")),
    "topics create": (KafkaSettings, TOPICS),
    "topics check": (KafkaSettings, TOPICS),
    "inspect user": (ClientSettings, (*CONNECTION, "partitions", "request_timeout_s", "key_form")),
    "inspect item": (ClientSettings, (*CONNECTION, "partitions", "request_timeout_s", "key_form")),
    "models list": (TrainerSettings, (*CONNECTION, "artifacts")),
    "models rollback": (TrainerSettings, (*CONNECTION, "partitions", "artifacts", "group")),
    "tail": (KafkaSettings, (*CONNECTION, "partitions")),
    "status": (WorkerSettings, (*CONNECTION, "group")),
}
"""Settings of each command: their class, and those that are flags."""

FIELDS: Mapping[str, FieldInfo] = {name: field for role in ROLES for name, field in role.model_fields.items()}

CONFIG_HELP = (
    "TOML file with lines such as: partitions = 8; values in its tables worker, trainer, observer and "
    f"recommend apply to that command only ({CONFIG_VARIABLE})"
)


class Commands(TyperGroup):
    """All commands; of those, a mistyped option is compared with the options that the help shows alone."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - the class of the context differs between versions of typer
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if getattr(error, "possibilities", None):  # an unknown option; a hidden one would be refused
                _suggest_shown(error)
            raise


def _suggest_shown(error: Any) -> None:  # noqa: ANN401 - some versions of typer keep the class private
    options = [one for one in error.ctx.command.params if getattr(one, "hidden", False)]
    hidden = {flag for one in options for flag in (*one.opts, *one.secondary_opts)}
    error.possibilities = [flag for flag in error.possibilities if flag not in hidden]


def with_settings(
    name: str, command: Callable[..., None], *, prepare: Callable[[], None] = lambda: None
) -> Callable[..., None]:
    """Return a command that has an option for each of its settings and is called with ``settings``.

    A setting without a flag comes from the environment, the configuration file, or is the default. A setting
    of another command is accepted as a hidden option, to be refused with the name of that command.

    Args:
        name: the command, a key of ``FLAGS``.
        command: what it does; takes its arguments and ``settings``.
        prepare: what to call before the settings are read.
    """
    role, shown = FLAGS[name]
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "settings"]
    fields = {**FIELDS, **role.model_fields}  # an own description wins over that of another command
    options = [_option(one, field, hidden=one not in shown) for one, field in fields.items()]

    def run(config: Path | None, **given: Any) -> None:  # noqa: ANN401 - typer fills it by the signature below
        prepare()
        flags = {one: given.pop(one) for one in FIELDS}
        for other in flags:
            if flags[other] is not None and other not in shown:
                raise SettingsError(_refusal(name, other))
        command(settings=load(role, flags, config=config), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    parameters = [*own, *options, _config_option()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def log_to_stderr() -> None:
    """Write log lines to standard error, from level INFO on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def _refusal(command: str, name: str) -> str:
    *others, last = [f"dch {other}" for other, (_, shown) in FLAGS.items() if name in shown]
    owners = f"{', '.join(others)} and {last}" if others else last
    return f"{flag_name(name)} is a setting of {owners}, not of dch {command}"


def _option(name: str, field: FieldInfo, *, hidden: bool) -> inspect.Parameter:
    is_list = name == "kafka"
    variable = KAFKA_PREFIX + "..." if is_list else variable_name(name)
    default = "" if field.default in ("", {}) else f", default {as_text(field.default)}"
    option = typer.Option(
        flag_name(name),
        help=f"{field.description} ({variable}{default})",
        metavar="KEY=VALUE" if is_list else "VALUE",
        show_default=False,
        rich_help_panel="Settings",
        hidden=hidden,
    )
    return _parameter(name, list[str] if is_list else str, option)


def _config_option() -> inspect.Parameter:
    option = typer.Option(
        "--config", help=CONFIG_HELP, metavar="FILE", show_default=False, rich_help_panel="Settings"
    )
    return _parameter("config", Path, option)


def _parameter(name: str, kind: Any, option: object) -> inspect.Parameter:  # noqa: ANN401 - a type
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
