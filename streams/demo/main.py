"""The scenario of the demo, step by step."""

import shlex
import signal
import statistics
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from rich.console import Console

from dch import DchConfig, Recommender
from streams import topics
from streams.client import RecommendClient
from streams.demo.cluster import DemoCluster, join_cluster, require_broker, start_cluster
from streams.demo.demo_data import MAX_RECORDS, DemoData, read_demo_data
from streams.demo.live_stream import Refit, publish, stream_live
from streams.demo.newcomer import Newcomer, ask_until, rate_liked_items
from streams.demo.report import COHORT_NOTE, cohort_table, newcomer_table, summary
from streams.demo.role_metrics import CohortCounts
from streams.demo.watch import EVERY_LIST, is_possible, start_observer, watched
from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import RatingEvent, encode_rating
from streams.publish import Pace, publish_features
from streams.settings import ClientSettings, TrainerSettings

POLL_S = 0.5
N_SHOWN = 5
BIN = Path(sys.executable).parent


def run(
    data: Path | None,
    *,
    keep: bool,
    watch: bool = False,
    bootstrap_servers: str | None = None,
    settings: TrainerSettings | None = None,
) -> None:
    """Run the demo.

    Args:
        data: folder or file of ratings; None reads MovieLens-100K.
        keep: leave everything running until Ctrl-C.
        watch: run Prometheus and an observer beside the service, where they are installed.
        bootstrap_servers: address of a running broker; None starts an embedded one, and takes no more ratings
            than that one can hold.
        settings: settings of the roles, such as ``bits``; the address of the broker is replaced.

    Raises:
        SettingsError: there are too few ratings, or MovieLens-100K is not installed.
        RatingsError: the ratings cannot be read.
        BrokerUnavailableError: no broker answers at ``bootstrap_servers``.
        DemoError: a process failed, or nothing changed any more.
    """
    _handle_signals()
    start, console, is_embedded = time.monotonic(), Console(highlight=False), bootstrap_servers is None
    settings = settings or TrainerSettings()
    if bootstrap_servers is not None:
        settings = settings.replace(bootstrap_servers=bootstrap_servers)
        require_broker(settings)
    found = read_demo_data(data, MAX_RECORDS if is_embedded else None)
    _heading(console, "1. Fit generation 1 on the older half of the ratings")
    _describe(found, console)
    recommender = Recommender.fit(found.older, config=DchConfig(bits=settings.bits), progress=True)
    _heading(console, f"2. Start {'a broker, ' if is_embedded else ''}a worker and a trainer")
    with _cluster(settings, console, is_embedded=is_embedded) as cluster:
        of_worker = EVERY_LIST if watch else {}
        worker_url, trainer_url = _start_service(cluster, found, recommender, console, of_worker)
        with _watch(cluster, worker_url, trainer_url, console) if watch else nullcontext():
            _show(cluster, found, worker_url, trainer_url, console, start)
            if keep:
                _keep_running(cluster, found, worker_url, console)
        if not keep:
            command = keep_command(data, bootstrap_servers)
            text = f"To send requests of your own, keep the service running: {command}"
            console.print(text, soft_wrap=True, markup=False)


def keep_command(data: Path | None, bootstrap_servers: str | None) -> str:
    """Return the command that runs the same demo and keeps it running; the arguments are those of ``run``."""
    words = [str(BIN / "dch"), "demo", "--keep"]
    words += [] if data is None else ["--data", str(data)]
    words += [] if bootstrap_servers is None else ["--bootstrap-servers", bootstrap_servers]
    return shlex.join(words)


def _show(
    cluster: DemoCluster,
    data: DemoData,
    worker_url: str,
    trainer_url: str,
    console: Console,
    start: float,
) -> None:
    """Stream the newer half, be a new user, and print the results."""
    _heading(console, "3. Publish the newer half as a live stream; the trainer refits meanwhile")
    refit = stream_live(cluster, data.newer, worker_url, trainer_url, console)
    _heading(console, f"4. A new user rates {len(data.liked)} items")
    newcomer = run_newcomer(cluster, data)
    console.print(newcomer_table(newcomer.lists, N_SHOWN))
    _heading(console, "5. Results")
    console.print(cohort_table(refit.counts))
    console.print(COHORT_NOTE, style="dim")
    console.print(summary(_summary_lines(data, refit, newcomer, time.monotonic() - start)))


def _cluster(
    settings: TrainerSettings, console: Console, *, is_embedded: bool
) -> AbstractContextManager[DemoCluster]:
    say = partial(console.print, soft_wrap=True, markup=False)
    return start_cluster(settings, say) if is_embedded else join_cluster(settings, say)


def _watch(
    cluster: DemoCluster, worker_url: str, trainer_url: str, console: Console
) -> AbstractContextManager[str | None]:
    urls = {"worker": worker_url, "trainer": trainer_url}
    say = partial(console.print, soft_wrap=True, markup=False)
    if is_possible():
        urls |= start_observer(cluster, say)
    return watched(cluster.folder, urls, cluster.settings.prefix, say)


def _describe(data: DemoData, console: Console) -> None:
    console.print(
        f"{data.name}: {len(data.ratings):,} ratings of {data.ratings.n_items:,} items "
        f"by {data.ratings.n_users:,} users"
    )
    if data.n_in_file > len(data.ratings):
        console.print(
            f"These are the newest of {data.n_in_file:,} ratings: with features and item codes, they come to "
            f"as many records as the embedded broker holds, some {MAX_RECORDS:,}. To take all: "
            "dch demo --bootstrap-servers HOST:PORT",
            soft_wrap=True,
        )


def _handle_signals() -> None:
    """End the demo in order on SIGINT and SIGTERM, even if a shell started it with SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _heading(console: Console, text: str) -> None:
    console.rule(text, align="left")


def _start_service(
    cluster: DemoCluster,
    data: DemoData,
    recommender: Recommender,
    console: Console,
    of_worker: Mapping[str, str],
) -> tuple[str, str]:
    """Publish the older half and start the roles; return the URLs of the worker's and trainer's metrics."""
    settings, producer = cluster.settings, Producer(cluster.settings)
    publish_features(
        data.ratings.item_features, producer, settings.topic(topics.ITEMS.name), settings.key_form
    )
    publish_features(
        data.ratings.user_features, producer, settings.topic(topics.USERS.name), settings.key_form
    )
    publish("older half", data.older, producer, cluster, pace=Pace(None), console=console)
    cluster.publish_generation(recommender)
    worker = cluster.start_role("worker", variables=of_worker)
    trainer = cluster.start_role("trainer", refit_ratings=len(data.newer) // 2)
    with console.status("The worker reads the log and encodes all users and items ..."):
        urls = cluster.processes.wait_ready(worker), cluster.processes.wait_ready(trainer)
    console.print(f"metrics of the worker: {urls[0]}/metrics")
    return urls


def run_newcomer(cluster: DemoCluster, data: DemoData, **changes: str) -> Newcomer:
    """Rate and ask as a new user.

    Args:
        cluster: the running service.
        data: the data of the demo.
        changes: ``user``, another user id.
    """
    producer = Producer(cluster.settings, linger_ms=0)
    with RecommendClient(cluster.settings.as_role(ClientSettings)) as client:
        ask = partial(ask_until, client, cluster.processes)
        return rate_liked_items(data, ask, partial(_rate, producer, cluster.settings), **changes)


def _rate(producer: Producer, settings: TrainerSettings, user: str, item: str, rating: float) -> None:
    event = RatingEvent(user, item, rating, int(time.time() * 1000))
    producer.send(Output(settings.topic(topics.RATINGS.name), user.encode(), encode_rating(event)))
    producer.flush()


def _summary_lines(data: DemoData, refit: Refit, newcomer: Newcomer, seconds: float) -> list[tuple[str, str]]:
    total, median = refit.counts.total, statistics.median(newcomer.visible_ms)
    return [
        (
            "live stream",
            f"{len(data.newer):,} ratings, {total.trials:,} of the positive ones were trials",
        ),
        ("hit rate at 20", f"{_hit_rates(total)}; {refit.tried_by}"),
        ("rating to updated list", f"{median:.0f} ms (median of {len(newcomer.visible_ms)})"),
        ("generation in service", f"{refit.counts.generation}, {refit.words}"),
        ("duration", f"{seconds:.0f} s"),
    ]


def _hit_rates(total: CohortCounts) -> str:
    if not total.trials:
        return "no rating of the stream was a trial"
    hit_rate, baseline = total.hits / total.trials, total.popular_hits / total.trials
    return f"{hit_rate:.1%}; most popular items: {baseline:.1%}"


def _keep_running(cluster: DemoCluster, data: DemoData, worker_url: str, console: Console) -> None:
    servers, prefix = cluster.settings.bootstrap_servers, cluster.settings.prefix
    exports = f"DCH_BOOTSTRAP_SERVERS={servers} DCH_ARTIFACTS={cluster.settings.artifacts}"
    exports += f" DCH_PREFIX={prefix}" if prefix else ""
    _heading(console, "The service runs until Ctrl-C. Try in another terminal:")
    liked = data.liked[0]
    for line in (
        f"export {exports} PATH={BIN}:$PATH",
        "dch recommend me -k 5",
        f"printf 'user,item,rating\\nme,{liked},5\\n' > me.csv && dch publish me.csv --ratings-only",
        "dch recommend me -k 5",
        "dch inspect user me",
        "dch models list",
        f"curl -s {worker_url}/metrics | grep ^dch_prequential",
    ):
        console.print(f"    {line}", soft_wrap=True)
    try:
        while True:
            cluster.processes.require_alive()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        console.print("stopping")
