"""What is installed: serving needs no training library, and the wheel holds the code and nothing else."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import uuid
import zipfile
from pathlib import Path

import pytest

from streams.settings import WorkerSettings
from streams.settings.sources import outer_environ
from tests.streams.brokers import embedded_broker, eventually, free_ports
from tests.streams.world import World

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "tests" / "fixtures" / "saved-at-849d7d5"
NOT_FOR_SERVING = ("torch", "implicit", "scipy", "threadpoolctl", "matplotlib")

SERVE = f"""
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_FOR_SERVING}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
import dch, streams.worker.main, streams.cli.main, streams.client
recommender = dch.Recommender.load({str(SAVED / "artifact")!r})
recommender.fold_in("somebody new", recommender.recommend("somebody new", k=1)[0].item, 5.0)
print(json.dumps([len(recommender.recommend(user, k=5)) for user in ("somebody new", "u1")]))
"""


def test_serving_imports_no_training_library():
    done = subprocess.run(
        [sys.executable, "-c", SERVE], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [5, 5]


def test_the_targets_of_the_makefile_are_listed_by_make_help():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = subprocess.run(["make", "help"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert set(re.findall(r"^make ([a-z-]+)  ", shown, re.MULTILINE)) == targets


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    names = {normal(line) for lines in (project["dependencies"], *extras) for line in lines}
    pinned = {normal(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names - {"dch-streams"} <= pinned


def normal(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the source, so that no build folder stays behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("dch", "streams", "docs", "tests"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [*pip, "--wheel-dir", folder, folder / "source"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        pytest.skip("pip is not installed in this environment")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        scripts = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dch", "streams"}
    inside = [name for name in names if ".dist-info/" not in name]
    assert {name for name in inside if not name.endswith(".py")} == {"dch/py.typed", "streams/py.typed"}
    modules = [*ROOT.glob("dch/**/*.py"), *ROOT.glob("streams/**/*.py")]
    assert {name for name in inside if name.endswith(".py")} == {
        path.relative_to(ROOT).as_posix() for path in modules
    }
    assert "dch = streams.cli.main:main" in scripts
    assert re.search(r'^Requires-Dist: torch\S*; extra == "fit"$', metadata, re.MULTILINE)
    base = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert "numpy" in base
    assert not {"torch", "implicit", "scipy"} & set(base)


needs_prove = pytest.mark.prove


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel with the extra ``streams`` alone into a new environment; return its bin folder."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "-c", ROOT / "constraints.txt", f"dch-streams[streams] @ {wheel.as_uri()}"]
    subprocess.run(command, check=True, timeout=600)
    return folder / "bin"


def run(command, *arguments, **kwargs):
    """Run a command away from the source tree, so that only what is installed can be imported."""
    environ = outer_environ() | {"PYTHONPATH": "", "COLUMNS": "100"}
    return subprocess.run(
        [command, *map(str, arguments)],
        **{"capture_output": True, "text": True, "check": False, "cwd": "/", "env": environ, **kwargs},
    )


@pytest.mark.slow
@needs_prove
def test_an_environment_without_torch_serves(installed, tmp_path):
    code = f"import importlib.util as u; print([n for n in {NOT_FOR_SERVING} if u.find_spec(n)])"
    assert run(installed / "python", "-c", code).stdout.strip() == "[]"
    assert "--new-item-share" in run(installed / "dch", "worker", "--help").stdout
    with embedded_broker(tmp_path / "broker") as broker:
        settings = WorkerSettings(
            bootstrap_servers=broker.address,
            prefix=f"t{uuid.uuid4().hex[:8]}-",
            artifacts=str(tmp_path / "store"),
            metrics_port=free_ports(2),
        )
        world = World(settings, tmp_path)
        check_worker(installed / "dch", world, tmp_path / "log")
        world.close()


def check_worker(dch, world, log):
    """Start a worker, which waits for a model; publish one; ask; end the worker."""
    environ = outer_environ() | world.settings.variables() | {"PYTHONPATH": ""}
    with log.open("w") as errors:
        process = subprocess.Popen([dch, "worker"], cwd="/", env=environ, stderr=errors)
    try:
        eventually(lambda: status(world.settings.metrics_port, "livez") == 200, 60)
        assert status(world.settings.metrics_port, "readyz") == 503  # there is no model yet
        world.publish()
        world.rate(*((f"u{u}", f"i{i}", 1 + (u + i) % 5) for u in range(6) for i in range(8)))
        # the first start after an installation compiles every kernel
        eventually(lambda: status(world.settings.metrics_port, "readyz") == 200, 300, every_s=0.5)
        where = ("--bootstrap-servers", world.settings.bootstrap_servers, "--prefix", world.settings.prefix)
        eventually(lambda: len(recommended(dch, *where)) == 3, 60, every_s=1)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0, log.read_text()


def recommended(dch, *where):
    asked = run(dch, "recommend", "somebody new", "-k", 3, "--json", *where)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)["items"]


def status(port, path):
    """Return the HTTP status of a health endpoint; None while nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


@pytest.mark.slow
@needs_prove
def test_a_fit_in_an_environment_without_torch_says_which_extra_to_install(installed, tmp_path):
    rows = "\n".join(f"u{n % 50},i{(n * 7 + n // 50) % 40},{1 + n % 5},{n}" for n in range(1000))
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + rows)
    for arguments in (
        ("train", tmp_path / "ratings.csv", "--out", tmp_path / "model"),
        ("evaluate", tmp_path / "ratings.csv"),
    ):
        done = run(installed / "dch", *arguments)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "dch: a fit needs torch, which is not installed; run: pip install -c constraints.txt '.[fit]'"
        )
