"""What benchmarks import of the package exists, though few are run here."""

import ast
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


def imported(path):
    """Pairs of a module of the package and a name that is taken from it."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] == "keras_irl"
        for alias in node.names
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_names_exist(path):
    for module, name in imported(path):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")


def test_names_are_found():
    names = {pair for path in SCRIPTS for pair in imported(path)}
    assert ("keras_irl.generation.drawing", "CompiledSampler") in names
