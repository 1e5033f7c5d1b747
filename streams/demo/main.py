"""The story of the demo, act by act."""

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
from streams.demo import report as pages
from streams.demo.cluster import Stage, set_up
from streams.demo.demo_data import Story, read_story
from streams.demo.newcomer import Newcomer, play
from streams.demo.processes import DemoError
from streams.demo.worker_metrics import Reading, read_worker
from streams.kafka import Producer
from streams.kafka.records import Output
from streams.messages import ErrorReply, RatingEvent, RecommendReply, RecommendRequest, encode_rating
from streams.publish import Pace, publish_features, publish_ratings
from streams.settings import ClientSettings, TrainerSettings

LIVE_S = 50.0
"""Seconds that the live stream takes: long enough to watch, short enough for three minutes in all."""

SLOWEST = 200.0
"""Ratings a second, at least: a small file needs no 50 seconds."""

REFIT_S = 90.0
LOOK_S = 0.5
N_SHOWN = 5
WAIT_S = 120.0


def run(data: Path | None, *, keep: bool, settings: TrainerSettings | None = None) -> None:
    """Play the demo.

    Args:
        data: folder or file of ratings; None is MovieLens-100K.
        keep: leave everything running until Ctrl-C.
        settings: bits and the like; the broker is a child process.

    Raises:
        SettingsError: there is no data.
        DemoError: a process did not do its part.
    """
    for asked in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(asked, signal.default_int_handler)  # the roles are ended in order
    began = time.monotonic()
    console = Console(highlight=False)
    chosen = settings or TrainerSettings()
    story = read_story(data)
    console.rule("1. The past: fit generation 1 on the older half", align="left")
    console.print(
        f"{story.name}: {len(story.ratings):,} ratings of {story.ratings.n_items:,} items "
        f"by {story.ratings.n_users:,} users, oldest first"
    )
    recommender = Recommender.fit(story.first, config=DchConfig(bits=chosen.bits), progress=True)
    with set_up(chosen) as stage:
        console.rule("2. The service: broker, worker and trainer, a process each", align="left")
        worker = _open(stage, story, recommender, console)
        console.rule("3. The present: the newer half as a live stream, a refit on the way", align="left")
        reading = _stream(stage, story, worker, console)
        console.rule("4. A brand-new user rates five items", align="left")
        newcomer = _newcomer(stage, story, console)
        console.rule("5. How good was it?", align="left")
        console.print(pages.cohort_table(reading))
        console.print(pages.COHORT_NOTE, style="dim")
        console.print(pages.summary(_facts(story, reading, newcomer, time.monotonic() - began)))
        if keep:
            _keep(stage, story, worker, console)
        else:
            console.print("To try it yourself: .venv/bin/dch demo --keep")


def _open(stage: Stage, story: Story, recommender: Recommender, console: Console) -> str:
    """Publish the past and start the roles; return the address of the worker's metrics."""
    settings, producer = stage.settings, Producer(stage.settings)
    publish_features(story.ratings.item_features, producer, settings.topic(topics.ITEMS.name))
    publish_features(story.ratings.user_features, producer, settings.topic(topics.USERS.name))
    _publish("publish the past", story.first, producer, stage, pace=Pace(None), console=console)
    stage.publish_generation(recommender)
    worker, address = stage.start_role("worker")
    trainer, trained_at = stage.start_role("trainer", refit_ratings=len(story.live) // 2)
    with console.status("the worker reads the log and encodes every user and item ..."):
        stage.processes.wait_ready(worker, address, WAIT_S)
        stage.processes.wait_ready(trainer, trained_at, WAIT_S)
    console.print(f"broker at {settings.bootstrap_servers}, worker metrics at {address}/metrics")
    return address


def _stream(stage: Stage, story: Story, worker: str, console: Console) -> Reading:
    """Publish the present at an even pace; return the worker's counts once it has seen all of it."""
    pace = Pace(max(len(story.live) / LIVE_S, SLOWEST))
    _publish("live", story.live, Producer(stage.settings), stage, pace=pace, console=console, worker=worker)
    with console.status("waiting for the refit to land ..."):
        end = time.monotonic() + REFIT_S
        while read_worker(worker).generation < 2 and time.monotonic() < end:
            stage.processes.require_alive()
            time.sleep(LOOK_S)
    reading = _settled(worker)
    if reading.generation < 2:
        told = stage.processes.children[-1].said()
        raise DemoError(f"no refit landed within {REFIT_S:g} s; the end of the trainer's log:\n{told}")
    console.print(f"generation {reading.generation} is in service, swapped in while requests were answered")
    return reading


def _settled(worker: str) -> Reading:
    """Return the worker's counts when they have stopped to move."""
    before, now = None, read_worker(worker)
    while now != before:
        time.sleep(2 * LOOK_S)
        before, now = now, read_worker(worker)
    return now


def _publish(
    name: str,
    ratings: Ratings,
    producer: Producer,
    stage: Stage,
    *,
    pace: Pace,
    console: Console,
    worker: str | None = None,
) -> None:
    """Publish ratings with a bar; with a worker, the bar also says how it is doing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=console) as bar:
        task = bar.add_task(name, total=len(ratings), said="")
        looked = time.monotonic()

        def advance(n: int) -> None:
            nonlocal looked
            bar.advance(task, n)
            if worker is not None and time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                stage.processes.require_alive()
                bar.update(task, said=_said(read_worker(worker)))

        publish_ratings(ratings, producer, stage.settings, pace=pace, advance=advance)


def _said(reading: Reading) -> str:
    total = reading.total
    rate = f"hit rate {total.hits / total.trials:.1%}" if total.trials else ""
    return f"generation {reading.generation}  {rate}"


def _newcomer(stage: Stage, story: Story, console: Console) -> Newcomer:
    producer = Producer(stage.settings, linger_ms=0)
    with RecommendClient(stage.settings.as_role(ClientSettings)) as asker:
        newcomer = play(story, partial(_ask, asker), partial(_rate, producer, stage.settings))
    console.print(pages.newcomer_table(newcomer.moments, N_SHOWN))
    return newcomer


def _ask(asker: RecommendClient, user: str) -> RecommendReply:
    reply = asker.ask(RecommendRequest(user=user))
    if isinstance(reply, ErrorReply):
        raise DemoError(f"the worker answered with an error: {reply.error}")
    return reply


def _rate(producer: Producer, settings: TrainerSettings, user: str, item: str, rating: float) -> None:
    event = RatingEvent(user, item, rating, int(time.time() * 1000))
    producer.send(Output(settings.topic(topics.RATINGS.name), user.encode(), encode_rating(event)))
    producer.flush()


def _facts(story: Story, reading: Reading, newcomer: Newcomer, seconds: float) -> list[tuple[str, str]]:
    total, median = reading.total, statistics.median(newcomer.visible_ms)
    return [
        ("streamed", f"{len(story.live):,} ratings, {total.trials:,} of them trials"),
        (
            "hit rate at 20",
            f"{total.hits / total.trials:.1%}, popularity {total.popular_hits / total.trials:.1%}",
        ),
        ("a rating shows after", f"{median:.0f} ms (median of {len(newcomer.visible_ms)})"),
        ("generation in service", f"{reading.generation}, fitted on the way by the trainer"),
        ("took", f"{seconds:.0f} s"),
    ]


def _keep(stage: Stage, story: Story, worker: str, console: Console) -> None:
    servers = stage.settings.bootstrap_servers
    console.rule("Everything keeps running until Ctrl-C. Try, in another terminal:", align="left")
    liked = story.liked[0]
    for line in (
        f"export DCH_BOOTSTRAP_SERVERS={servers} PATH={Path(sys.executable).parent}:$PATH",
        "dch recommend me -k 5",
        f"""echo 'me|{{"user":"me","item":"{liked}","rating":5}}' | kcat -P -b {servers} -t ratings -K '|'""",
        "dch recommend me -k 5",
        f"curl -s {worker}/metrics | grep ^dch_prequential",
    ):
        console.print(f"    {line}", soft_wrap=True)
    try:
        while True:
            stage.processes.require_alive()
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        console.print("stopping")
