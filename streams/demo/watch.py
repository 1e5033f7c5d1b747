"""Prometheus beside the demo, with the rules and alerts of this repository, if it is installed."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from streams.demo.cluster import DemoCluster
from streams.demo.grafana import DASHBOARDS, dashboards, free_port
from streams.demo.processes import STOP_S

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
NO_GRAFANA = (
    f"Grafana is not on the PATH; to see the dashboards, import the files in {DASHBOARDS}, with this "
    "Prometheus as the data source"
)
NO_PROMETHEUS = (
    "Prometheus is not on the PATH, so nothing watches the demo; on Debian: apt-get install prometheus"
)
NO_RULES = (
    f"there are no rules in {RULES}, so nothing watches the demo; run it from a checkout of the repository"
)
NO_OBSERVER = (
    "Faust is not installed, so no observer runs, and panels of what was served stay empty; "
    "run: pip install -c constraints.txt '.[observer]'"
)
EVERY_LIST = {"DCH_SERVED_SHARE": "1"}
"""Variables of a watched worker: the observer sees all lists, because the demo has few."""


def is_possible() -> bool:
    """Return whether Prometheus and its rules are there."""
    return shutil.which("prometheus") is not None and RULES.is_dir()


def start_observer(cluster: DemoCluster, say: Callable[[str], None]) -> dict[str, str]:
    """Start an observer; return its metrics server under its name, or say why there is none."""
    if find_spec("faust") is None:
        say(NO_OBSERVER)
        return {}
    child = cluster.start_role("observer", variables={"DCH_SHOW_INTERVAL_S": "2"})
    return {"observer": cluster.processes.wait_ready(child)}


@contextmanager
def watched(
    folder: Path, urls: Mapping[str, str], prefix: str, say: Callable[[str], None]
) -> Iterator[str | None]:
    """Run Prometheus until the block ends; yield its address, or say why there is none and yield None.

    Args:
        folder: for its configuration, data and log.
        urls: the metrics server of each role.
        prefix: of the topics, which becomes the label ``prefix``.
        say: prints a sentence.
    """
    binary = shutil.which("prometheus")
    if binary is None or not RULES.is_dir():
        say(NO_PROMETHEUS if binary is None else NO_RULES)
        yield None
        return
    process, address = _start(binary, folder, urls, prefix)
    try:
        say(f"Prometheus: {address} (alerts: {address}/alerts)")
        with dashboards(folder, address) as grafana:
            say(f"Grafana: {grafana}" if grafana else NO_GRAFANA)
            yield address
    finally:
        process.terminate()
        process.wait(STOP_S)


def _start(
    binary: str, folder: Path, urls: Mapping[str, str], prefix: str
) -> tuple[subprocess.Popen[bytes], str]:
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(configuration(urls, prefix)))  # JSON is YAML, too
    address = f"127.0.0.1:{free_port()}"
    command = [
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    return process, f"http://{address}"


def configuration(urls: Mapping[str, str], prefix: str) -> dict[str, object]:
    """Return the configuration of Prometheus for the metrics server of each role."""
    return {
        "global": {"scrape_interval": "2s", "evaluation_interval": "5s"},
        "rule_files": [str(RULES / name) for name in ("recording.yml", "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": role,
                "static_configs": [
                    {"targets": [urlsplit(url).netloc], "labels": {"prefix": prefix} if prefix else {}}
                ],
            }
            for role, url in urls.items()
        ],
    }
