"""A process asks JAX for its number, if there is one to ask."""

import subprocess
import sys
import types

import pytest

from keras_irl.process_number import is_first_process
from keras_irl.process_number import num_processes


def jax_of(is_initialized, index):
    """A stand-in for JAX, in one of three processes."""
    return types.SimpleNamespace(
        distributed=types.SimpleNamespace(
            is_initialized=lambda: is_initialized
        ),
        process_count=lambda: 3,
        process_index=lambda: index,
    )


@pytest.mark.parametrize(
    ("jax", "count", "is_first"),
    [
        (None, 1, True),
        (jax_of(False, 2), 1, True),
        (jax_of(True, 0), 3, True),
        (jax_of(True, 2), 3, False),
    ],
)
def test_the_number_is_that_of_jax(monkeypatch, jax, count, is_first):
    if jax is None:
        monkeypatch.delitem(sys.modules, "jax", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "jax", jax)
    assert num_processes() == count
    assert is_first_process() is is_first


def test_nothing_is_imported_to_answer():
    code = (
        "import sys; from keras_irl.process_number import is_first_process; "
        "print(is_first_process(), 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "True False\n", done.stderr[-2000:]
