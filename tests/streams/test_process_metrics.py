"""Memory is read from the files of both versions of cgroups; without a limit it is that of the process."""

import pytest

from streams.metric_types import CATALOGUE
from streams.metrics import BUILD_INFO, MEMORY_BYTES, MEMORY_LIMIT_BYTES, READY
from streams.process_metrics import machine_bytes, memory_bytes, memory_limit_bytes

MIB = 2**20


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {
            "memory.current": f"{300 * MIB}\n",
            "memory.max": f"{512 * MIB}\n",
            "memory.stat": f"anon 5\ninactive_file {100 * MIB}\n",
        },
        {
            "memory/memory.usage_in_bytes": f"{300 * MIB}\n",
            "memory/memory.limit_in_bytes": f"{512 * MIB}\n",
            "memory/memory.stat": f"cache 5\ninactive_file 7\ntotal_inactive_file {100 * MIB}\n",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_in_a_container_with_a_limit(tmp_path, files):
    write(tmp_path, files)
    assert memory_limit_bytes(tmp_path) == 512 * MIB
    assert memory_bytes(tmp_path) == 200 * MIB


@pytest.mark.parametrize(
    "files",
    [
        {"memory.current": "5\n", "memory.max": "max\n"},
        {"memory/memory.usage_in_bytes": "5\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"},
        {},
    ],
    ids=["version 2", "version 1", "no cgroup"],
)
def test_without_a_limit(tmp_path, files):
    write(tmp_path, files)
    assert memory_limit_bytes(tmp_path) == machine_bytes()
    assert MIB < memory_bytes(tmp_path) < machine_bytes()


def test_every_role_shows_the_metrics_of_its_process():
    """Every role serves them, so the page of metrics must say so of each."""
    names = {
        family.name
        for metric in (MEMORY_BYTES, MEMORY_LIMIT_BYTES, BUILD_INFO, READY)
        for family in metric.collect()
    }
    assert {CATALOGUE[name].roles for name in names} == {("worker", "trainer", "observer")}
