"""Prometheus beside the demo, with the rules and alerts of this repository, if it is installed."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from streams.demo.processes import STOP_S

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
DASHBOARDS = RULES.parent / "grafana" / "dashboards"
NO_PROMETHEUS = (
    "Prometheus is not on the PATH, so nothing watches the demo; on Debian: apt-get install prometheus"
)
NO_RULES = (
    f"there are no rules in {RULES}, so nothing watches the demo; run it from a checkout of the repository"
)


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
        say(f"dashboards for Grafana: import the files in {DASHBOARDS}, with this Prometheus as source")
        yield address
    finally:
        process.terminate()
        process.wait(STOP_S)


def _start(
    binary: str, folder: Path, urls: Mapping[str, str], prefix: str
) -> tuple[subprocess.Popen[bytes], str]:
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(configuration(urls, prefix)))  # JSON is YAML, too
    address = f"127.0.0.1:{_free_port()}"
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
