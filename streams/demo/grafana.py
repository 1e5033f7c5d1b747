"""Grafana beside the demo, with the dashboards of this repository, if it is installed."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.demo.processes import STOP_S
from streams.settings.sources import outer_environ

DASHBOARDS = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
PROVISIONING = DASHBOARDS.parent / "provisioning"
"""Of the compose file, whose addresses are replaced."""

PACKAGED = Path("/usr/share/grafana")
"""Where the packages of Debian and RPM put Grafana's own files."""


@contextmanager
def dashboards(folder: Path, prometheus: str) -> Iterator[str | None]:
    """Run Grafana until the block ends; yield its address, or None if it is not on the PATH.

    Args:
        folder: for its configuration, data and log.
        prometheus: the address of the data source.
    """
    binary = shutil.which("grafana")
    if binary is None:
        yield None
        return
    port = free_port()
    provision(folder / "provisioning", prometheus)
    command = [binary, "server", "--homepath", str(_home(Path(binary)))]
    environment = outer_environ() | variables(folder, port)
    with (folder / "grafana.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(STOP_S)


def provision(folder: Path, prometheus: str) -> None:
    """Write what Grafana reads at its start: the data source, and where the dashboards are."""
    for file in PROVISIONING.rglob("*.yml"):
        text = file.read_text().replace("http://prometheus:9090", prometheus)
        target = folder / file.relative_to(PROVISIONING)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("/var/lib/grafana/dashboards", str(DASHBOARDS)))


def variables(folder: Path, port: int) -> dict[str, str]:
    """Return the settings of Grafana: anybody on this machine may look, without a password."""
    return {
        "GF_PATHS_DATA": str(folder / "grafana"),
        "GF_PATHS_LOGS": str(folder / "grafana"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(DASHBOARDS / "dch-overview.json"),
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _home(binary: Path) -> Path:
    """Return the folder of Grafana's own files: above the binary in an archive, elsewhere in a package."""
    unpacked = binary.resolve().parent.parent
    return unpacked if (unpacked / "conf" / "defaults.ini").exists() else PACKAGED
