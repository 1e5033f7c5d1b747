"""The scenario of the demo, step by step."""

import signal
import statistics
import sys
import time
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dch import DchConfig, Ratings, Recommender
from streams import topics
from streams.client import RecommendClient
from streams.demo.cluster import DemoCluster, start_cluster
from streams.demo.demo_data import DemoData, read_demo_data
from streams.demo.newcomer import Newcomer, rate_liked_items
from streams.demo.processes import DemoError
from streams.demo.report import COHORT_NOTE, cohort_table, newcomer_table, summary
from streams.demo.worker_metrics import WorkerCounts, read_worker
from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import ErrorReply, RatingEvent, RecommendReply, RecommendRequest, encode_rating
from streams.publish import Pace, publish_features, publish_ratings
from streams.settings import ClientSettings, TrainerSettings

LIVE_S = 50.0
"""Duration of the live stream in seconds: the whole demo takes less than three minutes."""

MIN_RATE = 200.0
"""Slowest live stream, in ratings a second: a small file takes less than ``LIVE_S``."""

READY_S = 120.0
REFIT_S = 90.0
POLL_S = 0.5
N_SHOWN = 5
BIN = Path(sys.executable).parent


def run(data: Path | None, *, keep: bool, settings: TrainerSettings | None = None) -> None:
    """Run the demo.

    Args:
        data: folder or file of ratings; None reads MovieLens-100K.
        keep: leave everything running until Ctrl-C.
        settings: settings of the roles, such as ``bits``; the broker address is replaced.

    Raises:
        SettingsError: there are too few ratings, or MovieLens-100K is not installed.
        RatingsError: the ratings cannot be read.
        DemoError: a process failed, or was too slow.
    """
    _handle_signals()
    start = time.monotonic()
    console, settings = Console(highlight=False), settings or TrainerSettings()
    found = read_demo_data(data)
    _heading(console, "1. Fit generation 1 on the older half of the ratings")
    console.print(
        f"{found.name}: {len(found.ratings):,} ratings of {found.ratings.n_items:,} items "
        f"by {found.ratings.n_users:,} users"
    )
    recommender = Recommender.fit(found.older, config=DchConfig(bits=settings.bits), progress=True)
    with start_cluster(settings) as cluster:
        _heading(console, "2. Start a broker, a worker and a trainer")
        worker_url = _start_service(cluster, found, recommender, console)
        _heading(console, "3. Publish the newer half as a live stream; the trainer refits meanwhile")
        counts = _stream_live(cluster, found, worker_url, console)
        _heading(console, f"4. A new user rates {len(found.liked)} items")
        newcomer = _run_newcomer(cluster, found, console)
        _heading(console, "5. Results")
        console.print(cohort_table(counts))
        console.print(COHORT_NOTE, style="dim")
        console.print(summary(_summary_lines(found, counts, newcomer, time.monotonic() - start)))
        if keep:
            _keep_running(cluster, found, worker_url, console)
        else:
            command = f"{BIN / 'dch'} demo --keep"
            console.print(
                f"To send requests of your own, keep the service running: {command}", soft_wrap=True
            )


def _handle_signals() -> None:
    """End the demo in order on SIGINT and SIGTERM, even if a shell started it with SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _heading(console: Console, text: str) -> None:
    console.rule(text, align="left")


def _start_service(cluster: DemoCluster, data: DemoData, recommender: Recommender, console: Console) -> str:
    """Publish the older half and start the roles; return the URL of the worker's metrics server."""
    settings, producer = cluster.settings, Producer(cluster.settings)
    publish_features(data.ratings.item_features, producer, settings.topic(topics.ITEMS.name))
    publish_features(data.ratings.user_features, producer, settings.topic(topics.USERS.name))
    _publish("older half", data.older, producer, cluster, pace=Pace(None), console=console)
    cluster.publish_generation(recommender)
    worker, worker_url = cluster.start_role("worker")
    trainer, trainer_url = cluster.start_role("trainer", refit_ratings=len(data.newer) // 2)
    with console.status("The worker reads the log and encodes all users and items ..."):
        cluster.processes.wait_ready(worker, worker_url, READY_S)
        cluster.processes.wait_ready(trainer, trainer_url, READY_S)
    console.print(f"broker: {settings.bootstrap_servers}, metrics of the worker: {worker_url}/metrics")
    return worker_url


def _stream_live(cluster: DemoCluster, data: DemoData, worker_url: str, console: Console) -> WorkerCounts:
    """Publish the newer half at an even rate; return the worker's counts after the refit and all ratings."""
    producer, pace = Producer(cluster.settings), Pace(max(len(data.newer) / LIVE_S, MIN_RATE))
    _publish("newer half", data.newer, producer, cluster, pace=pace, console=console, worker_url=worker_url)
    with console.status("Waiting for the refit ..."):
        end = time.monotonic() + REFIT_S
        while read_worker(worker_url).generation < 2 and time.monotonic() < end:
            cluster.processes.require_alive()
            time.sleep(POLL_S)
    counts = _wait_until_stable(worker_url)
    if counts.generation < 2:
        log = cluster.processes.children[-1].log_tail()
        raise DemoError(f"no refit was published within {REFIT_S:g} s; the end of the trainer's log:\n{log}")
    console.print(f"generation {counts.generation} is in service; the worker swapped it in without a restart")
    return counts


def _wait_until_stable(worker_url: str) -> WorkerCounts:
    """Return the worker's counts once they no longer change."""
    before, now = None, read_worker(worker_url)
    while now != before:
        time.sleep(2 * POLL_S)
        before, now = now, read_worker(worker_url)
    return now


def _publish(
    name: str,
    ratings: Ratings,
    producer: Producer,
    cluster: DemoCluster,
    *,
    pace: Pace,
    console: Console,
    worker_url: str | None = None,
) -> None:
    """Publish ratings behind a progress bar; with a worker, the bar shows its generation and hit rate."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[status]}"), console=console) as bar:
        task = bar.add_task(name, total=len(ratings), status="")
        read_at = time.monotonic()

        def advance(n: int) -> None:
            nonlocal read_at
            bar.advance(task, n)
            if worker_url is not None and time.monotonic() - read_at > POLL_S:
                read_at = time.monotonic()
                cluster.processes.require_alive()
                bar.update(task, status=_status(read_worker(worker_url)))

        publish_ratings(ratings, producer, cluster.settings, pace=pace, advance=advance)


def _status(counts: WorkerCounts) -> str:
    total = counts.total
    rate = f"hit rate {total.hits / total.trials:.1%}" if total.trials else ""
    return f"generation {counts.generation}  {rate}"


def _run_newcomer(cluster: DemoCluster, data: DemoData, console: Console) -> Newcomer:
    producer = Producer(cluster.settings, linger_ms=0)
    with RecommendClient(cluster.settings.as_role(ClientSettings)) as client:
        newcomer = rate_liked_items(data, partial(_ask, client), partial(_rate, producer, cluster.settings))
    console.print(newcomer_table(newcomer.lists, N_SHOWN))
    return newcomer


def _ask(client: RecommendClient, user: str) -> RecommendReply:
    reply = client.ask(RecommendRequest(user=user))
    if isinstance(reply, ErrorReply):
        raise DemoError(f"the worker answered with an error: {reply.error}")
    return reply


def _rate(producer: Producer, settings: TrainerSettings, user: str, item: str, rating: float) -> None:
    event = RatingEvent(user, item, rating, int(time.time() * 1000))
    producer.send(Output(settings.topic(topics.RATINGS.name), user.encode(), encode_rating(event)))
    producer.flush()


def _summary_lines(
    data: DemoData, counts: WorkerCounts, newcomer: Newcomer, seconds: float
) -> list[tuple[str, str]]:
    total, median = counts.total, statistics.median(newcomer.visible_ms)
    hit_rate, baseline = total.hits / total.trials, total.popular_hits / total.trials
    return [
        ("live stream", f"{len(data.newer):,} ratings, {total.trials:,} of them prequential trials"),
        ("hit rate at 20", f"{hit_rate:.1%}; most popular items: {baseline:.1%}"),
        ("rating to updated list", f"{median:.0f} ms (median of {len(newcomer.visible_ms)})"),
        ("generation in service", f"{counts.generation}, fitted by the trainer during the stream"),
        ("duration", f"{seconds:.0f} s"),
    ]


def _keep_running(cluster: DemoCluster, data: DemoData, worker_url: str, console: Console) -> None:
    servers = cluster.settings.bootstrap_servers
    _heading(console, "The service runs until Ctrl-C. Try in another terminal:")
    liked = data.liked[0]
    for line in (
        f"export DCH_BOOTSTRAP_SERVERS={servers} PATH={BIN}:$PATH",
        "dch recommend me -k 5",
        f"""echo 'me|{{"user":"me","item":"{liked}","rating":5}}' | kcat -P -b {servers} -t ratings -K '|'""",
        "dch recommend me -k 5",
        f"curl -s {worker_url}/metrics | grep ^dch_prequential",
    ):
        console.print(f"    {line}", soft_wrap=True)
    try:
        while True:
            cluster.processes.require_alive()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        console.print("stopping")
