"""The layers hold: a file imports from lower layers, no two share a name, no imports go in a circle."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

DCH = [
    {"errors", "jit"},
    {"config"},
    {"data"},
    {"models"},
    {"search"},
    {"state"},
    {"tensors"},
    {"artifact", "training"},
    {"answers"},
    {"recommender"},
    {"evaluation"},
    {"experiments"},
]
"""Files and folders of ``dch``, lowest first. A file may import from lower layers and from its own folder."""

STREAMS = [
    {"errors"},
    {"lifecycle", "settings"},
    {"metrics"},
    {"topics"},
    {"kafka"},
    {"messages"},
    {"artifacts", "health", "client", "publish"},
    {"worker", "trainer", "demo"},
    {"cli"},
    {"__main__"},
]
"""The same for ``streams``. Roles never import each other: they meet on topics."""

LEVEL = {
    (package, name): level
    for package, layers in (("dch", DCH), ("streams", STREAMS))
    for level, names in enumerate(layers)
    for name in names
}
KAFKA_CLIENTS = {"confluent_kafka", "aiokafka", "faust"}


def files(package):
    return sorted((ROOT / package).rglob("*.py"))


FILES = [*files("dch"), *files("streams")]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, *, within_functions):
    """Names of the modules that a file imports; ``from a import b`` gives both ``a`` and ``a.b``."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if within_functions else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module):
    package, _, rest = module.partition(".")
    return LEVEL.get((package, rest.partition(".")[0]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_from_lower_layers_and_from_its_own_folder_only(path):
    own = module_of(path).split(".")
    if len(own) == 1:  # dch/__init__.py hands on the public names
        return
    assert layer_of(module_of(path)) is not None, f"{own[1]} is in no layer; add it to tests/test_layers.py"
    for module in imports(path, within_functions=True):
        package, *rest = module.split(".")
        assert not (own[0] == "dch" and package == "streams"), "the library knows no Kafka"
        if package == own[0] and rest and rest[0] != own[1] and layer_of(module) is not None:
            assert layer_of(module) < layer_of(module_of(path)), f"{own[1]} may not import {rest[0]}"


def test_the_library_imports_no_kafka_client():
    for path in files("dch"):
        used = {module.split(".")[0] for module in imports(path, within_functions=True)}
        assert not used & {*KAFKA_CLIENTS, "prometheus_client"}, path


def test_torch_is_imported_by_training_and_baselines_only():
    users = {
        path.relative_to(ROOT / "dch").parts[:-1]
        for path in files("dch")
        if "torch" in {module.split(".")[0] for module in imports(path, within_functions=True)}
    }
    assert users <= {("training",), ("experiments", "baselines")}


def test_confluent_kafka_is_imported_in_one_folder():
    users = {
        str(path.relative_to(ROOT).parent)
        for path in files("streams")
        if "confluent_kafka" in {module.split(".")[0] for module in imports(path, within_functions=True)}
    }
    assert users == {"streams/kafka"}


def test_streams_uses_no_lock_and_no_array_of_the_library():
    """``dch.state.State`` has a method for each change, which takes the lock itself."""
    for path in files("streams"):
        used = {
            node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        }
        assert not used & {"lock", "pairs", "columns", "token_of"}, path


def test_no_imports_go_in_a_circle():
    known = {module_of(path): path for path in FILES}
    graph = defaultdict(set)
    for module, path in known.items():
        for imported in imports(path, within_functions=True):
            if imported in known and imported != module:
                graph[module].add(imported)
    # a package's __init__ hands on the names of its own files, which import siblings past it
    graph = {
        module: {one for one in found if not module.startswith(f"{one}.")} for module, found in graph.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("package", ["dch", "streams"])
def test_no_file_name_occurs_twice(package):
    """But ``main``, and a file of ``messages`` beside the file of ``worker`` for the same topic."""
    places = defaultdict(set)
    for path in files(package):
        if path.stem not in {"__init__", "main"}:
            places[path.stem].add(path.parent.name)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in twice.items() if found != {"messages", "worker"}} == {}


@pytest.mark.parametrize("package", ["dch", "streams"])
def test_no_class_name_occurs_twice(package):
    names = Counter(
        node.name
        for path in files(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_serving_imports_neither_torch_nor_implicit_nor_a_kafka_client():
    code = (
        "import sys, dch; from dch import Recommender; import dch.data.readers;"
        "print([name for name in ('torch', 'implicit', 'confluent_kafka', 'streams') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
