"""``dch worker``, ``dch trainer`` and ``dch observer``, and ``dch demo``, which runs the first two."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import log_to_stderr, with_settings
from streams.errors import SettingsError
from streams.settings import ObserverSettings, TrainerSettings, WorkerSettings

WORKER_EXAMPLE = (
    "Example: dch worker --bootstrap-servers localhost:9092 --artifacts ./artifacts --metrics-port 9101"
)
OBSERVER_EXAMPLE = "Example: dch observer --bootstrap-servers localhost:9092 --metrics-port 9103"
TRAINER_EXAMPLE = "Example: dch trainer --artifacts ./artifacts --refit-ratings 50000"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: dch demo --data ./my-ratings --keep --watch")(demo)
    app.command(epilog=WORKER_EXAMPLE)(with_settings("worker", worker, prepare=log_to_stderr))
    app.command(epilog=TRAINER_EXAMPLE)(with_settings("trainer", trainer, prepare=log_to_stderr))
    app.command(epilog=OBSERVER_EXAMPLE)(with_settings("observer", observer, prepare=log_to_stderr))


def demo(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="File or folder of ratings; default: MovieLens-100K.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running at the end and print commands to try.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Run Prometheus, Grafana and an observer beside it, where they are installed.",
        ),
    ] = False,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A running broker to use; its other topics are not touched. Default: an embedded broker, "
            "with the newest 100,000 ratings or so.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the whole service on this machine on real ratings; takes a few minutes.

    The demo fits a model, starts a broker, a worker and a trainer, streams
    ratings, refits during the stream, and shows how recommendations change.
    On a running broker, the names of its topics and groups begin with
    dch-demo-, and the topics are deleted at the end.
    """
    from streams.demo.main import run

    run(data, keep=keep, watch=watch, bootstrap_servers=bootstrap_servers)


def worker(*, settings: WorkerSettings) -> None:
    """Apply ratings, keep codes up to date and answer requests, until Ctrl-C.

    The partitions are divided among all running workers.
    """
    from streams.lifecycle import end_now
    from streams.worker import run

    run(settings)
    end_now()


def trainer(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Fit or refit once on the ratings so far, then exit. Waits while another trainer is active.",
        ),
    ] = False,
    accept_unmeasured: Annotated[
        bool,
        typer.Option(
            "--accept-unmeasured",
            help="With --once: publish also if there are too few new ratings to compare the new model "
            "with the model in service.",
        ),
    ] = False,
    settings: TrainerSettings,
) -> None:
    """Refit after a number of new ratings or seconds, and publish the new model.

    A model is not published if its NDCG@20 is lower than that of the model in service by more than
    --refit-margin, or if they could not be compared.
    """
    from streams.trainer import run

    if accept_unmeasured and not once:
        raise SettingsError(
            "--accept-unmeasured is for one refit; run: dch trainer --once --accept-unmeasured"
        )
    run(settings, once=once, accept_unmeasured=accept_unmeasured)


def observer(*, settings: ObserverSettings) -> None:
    """Measure what became of the lists that were shown, until Ctrl-C.

    It joins the lists of the topic served with the ratings that follow, and shows hit rates, coverage,
    repeats and popularity as metrics. The partitions are divided among all running observers. It needs the
    extra named observer of the package dch-streams.
    """
    from streams.observer import run

    run(settings)
