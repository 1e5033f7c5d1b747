"""The console command ``dch``. A command imports what it needs when it runs, so that help needs nothing."""

import sys
from importlib import import_module

import typer

from dch.errors import ConfigError, DchError
from streams.errors import SettingsError, StreamError, TopicError

COMMANDS = (
    "demo",
    "broker",
    "train",
    "topics",
    "evaluate",
    "experiment",
    "worker",
    "trainer",
    "publish",
    "recommend",
)
"""One module of this package each, which adds its commands to the app."""

EXTRAS = {
    "confluent_kafka": ("confluent-kafka", "streams"),
    "fsspec": ("fsspec", "streams"),
    "prometheus_client": ("prometheus-client", "streams"),
    "implicit": ("implicit", "fit"),
    "matplotlib": ("matplotlib", "experiment"),
    "noida_db": ("noida-db", "demo"),
}
"""Packages that some commands need and the base does not, with the extra that brings them."""

BAD_USAGE = (ConfigError, SettingsError, TopicError)


def build() -> typer.Typer:
    """Return the app with all its commands."""
    app = typer.Typer(
        name="dch",
        help="Recommendations from binary codes, kept fresh by a stream of ratings on Kafka.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        import_module(f"streams.cli.{name}").add_to(app)
    return app


def main() -> None:
    """Run the command; what went wrong is one sentence, never a traceback, unless it is a bug.

    Exit codes: 0 done; 1 it failed; 2 bad usage, settings or topics; 130 interrupted.
    """
    try:
        build()()
    except (DchError, StreamError) as error:
        _fail(str(error), 2 if isinstance(error, BAD_USAGE) else 1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        package, extra = EXTRAS[str(error.name).partition(".")[0]]
        _fail(f"this needs {package}, which is not installed; run: pip install 'dch-streams[{extra}]'", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.exit(1)  # whoever read our output has gone, and needs no word about it
    except OSError as error:  # a full disk, a folder that may not be written
        _fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""), 1)


def _fail(sentence: str, code: int) -> None:
    sys.stderr.write(f"dch: {sentence}\n")
    sys.exit(code)
