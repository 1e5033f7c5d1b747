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
    {"config", "folders"},
    {"data"},
    {"models"},
    {"search"},
    {"state"},
    {"tensors"},
    {"artifact", "training"},
    {"reasons"},
    {"queries"},
    {"questions"},
    {"lists"},
    {"answers"},
    {"recommender"},
    {"evaluation"},
    {"experiments"},
]
"""Files and folders of ``dch``, lowest first. A file may import from lower layers and from its own folder."""

STREAMS = [
    {"errors"},
    {"lifecycle", "metric_types", "settings"},
    {"metrics", "served_metrics"},
    {"process_metrics"},
    {"topics"},
    {"kafka"},
    {"messages"},
    {"artifacts", "health", "client", "publish"},
    {"worker", "trainer", "observer", "demo"},
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

USERS_IN_STREAMS = {
    "experiments": {"cli"},
    "evaluation": {"trainer", "demo", "cli"},
    "training": {"trainer", "demo", "cli"},
}
"""Parts of ``dch`` that only some folders of ``streams`` may import: a worker must start without them."""

KEPT_BY_STATE = {"history", "lock", "pairs", "columns", "token_of", "snapshot", "item_index", "bags", "store"}
"""Attributes that lead to the data of ``dch.state.State``. It has a method for each use, and locks itself."""

MAY_REACH_IN = {
    "streams/lifecycle.py": ("os._exit",),  # a documented function, whatever its name
    "streams/kafka": ("KafkaError._",),  # confluent-kafka: how the codes of librdkafka's own errors are named
    "streams/worker/replies.py": ("request.history",),  # a field of the message
    "streams/messages/requests.py": ("self.history",),  # the same field
}
"""Beginnings of the expressions that are allowed nevertheless, by folder or file."""


def files(package):
    return sorted((ROOT / package).rglob("*.py"))


FILES = [*files("dch"), *files("streams")]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, *, within_functions):
    """Names of the modules that a file imports; ``from a import b`` gives both ``a`` and ``a.b``.

    For the two packages themselves, ``from dch import b`` gives ``dch.b`` only: it may import a module.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if within_functions else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is a relative import"
            if node.module not in {"dch", "streams"}:
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
        if package == own[0]:
            assert layer_of(module) is not None, f"{module} is not a module; import from where it is defined"
            if rest[0] != own[1]:
                assert layer_of(module) < layer_of(module_of(path)), f"{own[1]} may not import {rest[0]}"


@pytest.mark.parametrize(("part", "allowed"), USERS_IN_STREAMS.items())
def test_a_part_of_the_library_that_serving_does_without_is_imported_by_few(part, allowed):
    for path in files("streams"):
        used = {tuple(module.split(".")[:2]) for module in imports(path, within_functions=True)}
        assert ("dch", part) not in used or path.relative_to(ROOT).parts[1] in allowed, path


def test_the_page_for_contributors_names_every_layer():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    section = page.partition("\n## Layers\n")[2].partition("\n## ")[0]
    assert [name for _, name in LEVEL if f"`{name}`" not in section] == []


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


@pytest.mark.parametrize("path", files("streams"), ids=lambda path: str(path.relative_to(ROOT)))
def test_streams_reaches_into_no_object_of_the_library(path):
    """Nor into private attributes of any other object."""
    name = path.relative_to(ROOT).as_posix()
    allowed = tuple(text for start, texts in MAY_REACH_IN.items() if name.startswith(start) for text in texts)
    found = [text for text in reached_into(ast.parse(path.read_text())) if not text.startswith(allowed)]
    assert found == [], f"{path}: give dch.state.State a method for this"


def reached_into(tree):
    """Expressions that name private data of another object: by attribute, ``getattr`` or import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr in KEPT_BY_STATE or ast.unparse(node.value) not in {"self", "cls"}:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "setattr", "attrgetter"}:
            strings = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if any(is_private(str(part)) for text in strings for part in str(text).split(".")):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and any(alias.name.startswith("_") for alias in node.names):
            yield ast.unparse(node)


def is_private(name):
    is_special = name.startswith("__") and name.endswith("__") and name != "__dict__"
    return name in KEPT_BY_STATE or (name.startswith("_") and not is_special)


@pytest.mark.parametrize(
    "line",
    [
        "ids = self._state.history.item_ids",
        "with recommender.state.lock: pass",
        "state._reserve(0)",
        "self._state._changed_items.clear()",
        "n = state.snapshot.item_index",
        "row = self._store.columns.words",
        "state.__dict__['history']",
        "getattr(state, 'history')",
        "attrgetter('state.history')(recommender)",
        "from dch.artifact import _model",
    ],
)
def test_reaching_into_another_object_is_found(line):
    assert [*reached_into(ast.parse(line))] != []


def test_own_private_attributes_and_special_methods_are_fine():
    tree = ast.parse("self._state.known_users()\ncls._read()\nsuper().__init__()\ntype(error).__name__")
    assert [*reached_into(tree)] == []


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


def test_serving_imports_neither_torch_nor_implicit_nor_pyarrow_nor_a_kafka_client():
    loaded = "print([name for name in {} if name in sys.modules])"
    code = (
        "import sys; from dch import Ratings, Recommender; "
        + loaded.format(("torch", "implicit", "pyarrow", "confluent_kafka", "streams"))
        + "; import dch.data.readers; "
        + loaded.format(("torch", "implicit", "confluent_kafka", "streams"))
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["[]", "[]"]
