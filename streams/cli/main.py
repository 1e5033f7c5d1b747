"""The entry point of ``dch``: all commands, and the exit code of each kind of error.

Nothing here imports dch, torch or a Kafka client, so ``dch --help`` is fast and needs no extra.
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from streams.cli import experiment, inspect_tools, kafka_tools, log_tools, model_tools, offline, roles, status
from streams.cli.options import Commands
from streams.errors import SettingsError, StreamError, TopicError

EXTRAS = {
    "confluent_kafka": ("confluent-kafka", "streams"),
    "fsspec": ("fsspec", "streams"),
    "prometheus_client": ("prometheus-client", "streams"),
    "faust": ("faust-streaming", "observer"),
    "torch": ("torch", "fit"),
    "implicit": ("implicit", "fit"),
    "scipy": ("scipy", "fit"),
    "threadpoolctl": ("threadpoolctl", "fit"),
    "filelock": ("filelock", "experiment"),
    "matplotlib": ("matplotlib", "experiment"),
    "noida_db": ("noida-db", "demo"),
}
"""Modules that only some commands need: the package of each, and the extra that installs it."""


def build() -> typer.Typer:
    """Return the app with all its commands."""
    app = typer.Typer(
        name="dch",
        help="Recommendations from binary codes, kept fresh by a stream of ratings on Kafka.",
        epilog="Example: dch demo",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        cls=Commands,
    )
    app.callback()(_options)
    for part in (roles, offline, experiment, inspect_tools, kafka_tools, log_tools, status, model_tools):
        part.add_to(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dch {version('dch-streams')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command. An expected error ends in one sentence on standard error, a bug in a traceback.

    Exit codes: 0 success; 1 failure; 2 wrong usage, settings or topics; 130 interrupted.
    """
    try:
        build()()
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.exit(1)  # standard output was closed, for example by head
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _fail(sentence, 2 if _is_bad_usage(error) else 1)


def _sentence(error: Exception) -> str | None:
    """Return the message to print for an expected error; None for any other, which is a bug."""
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    from dch.errors import DchError  # dch takes a second to import

    if isinstance(error, StreamError | DchError):
        return str(error)
    if isinstance(error, OSError):  # a full disk, a folder without write permission
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return None


def _missing(error: ModuleNotFoundError) -> str | None:
    found = EXTRAS.get((error.name or "").partition(".")[0])
    if found is None:
        return None
    package, extra = found
    return f"this needs {package}, which is not installed; run: pip install -c constraints.txt '.[{extra}]'"


def _is_bad_usage(error: Exception) -> bool:
    from dch.errors import ConfigError

    return isinstance(error, ConfigError | SettingsError | TopicError)


def _fail(sentence: str, code: int) -> None:
    sys.stderr.write(f"dch: {sentence}\n")
    sys.exit(code)
