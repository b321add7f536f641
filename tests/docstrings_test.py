"""The examples of the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import keras_irl

MODULES = [
    module.name
    for module in pkgutil.walk_packages(keras_irl.__path__, "keras_irl.")
    # The aliases of old names warn when they are imported.
    if not module.name.endswith(("__main__", ".decoding"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    results = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS
    )
    assert results.failed == 0


def test_there_are_examples():
    modules = map(importlib.import_module, MODULES)
    finder = doctest.DocTestFinder()
    examples = [
        example
        for module in modules
        for test in finder.find(module)
        for example in test.examples
    ]
    assert len(examples) > 10
