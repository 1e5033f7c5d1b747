"""The layers hold: the library knows no Kafka, and serving needs neither torch nor a teacher."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = [
    {"errors", "jit"},
    {"config", "ids", "features"},
    {"codes"},
    {"ratings", "search", "metrics"},
    {"readers", "splits", "histories", "towers", "store"},
    {"sums", "catalogue"},
    {"model"},
    {"side"},
    {"snapshot", "trials"},
    {"state", "packing"},
    {"queries", "artifact", "training", "bulk"},
    {"answers"},
    {"recommender"},
    {"evaluation"},
    {"comparisons"},
    {"experiment"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path):
    """Modules imported when the file is imported; imports inside functions are not."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def files(package):
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", files("dch"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_of_the_library_imports_lower_layers_only_and_no_kafka(path):
    parts = path.relative_to(ROOT / "dch").with_suffix("").parts
    for module in imports(path):
        top, *rest = module.split(".")
        assert top not in {"streams", "confluent_kafka", "aiokafka", "faust", "prometheus_client"}
        if top == "torch":
            assert parts[0] in {"training", "comparisons"}
        if top == "dch" and rest and parts[0] != "__init__" and rest[0] != parts[0]:
            assert LEVEL[rest[0]] < LEVEL[parts[0]], f"{parts[0]} may not import {rest[0]}"


def test_serving_imports_neither_torch_nor_implicit_nor_a_kafka_client():
    code = (
        "import sys, dch; from dch import Recommender; import dch.readers;"
        "print([name for name in ('torch', 'implicit', 'confluent_kafka', 'streams') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_one_client_library_lives_in_one_place():
    users = {
        str(path.relative_to(ROOT))
        for path in files("streams")
        if any(module.split(".")[0] == "confluent_kafka" for module in imports(path))
    }
    assert {str(Path(user).parent) for user in users} <= {"streams/clients"}
