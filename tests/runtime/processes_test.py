"""Processes of one training: their numbers, and what they agree on."""

import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from keras_irl.keras_seams import random_seed
from keras_irl.runtime import processes
from keras_irl.runtime.processes import agree_on_seed
from keras_irl.runtime.processes import done_on_first
from keras_irl.runtime.processes import is_first_process
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.processes import replicated
from keras_irl.runtime.processes import to_numpy

BACKEND = keras.config.backend()
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="It is JAX's.")


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
        "import sys; from keras_irl.runtime.processes import is_first_process; "
        "print(is_first_process(), 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "True False\n", done.stderr[-2000:]


@pytest.mark.parametrize(
    ("told", "seed"),
    [([[-1, -1, 5], [0, 3, 8]], 5), ([[0, 3, 5], [0, 3, 8]], 3)],
)
def test_processes_agree_on_a_seed(told, seed, monkeypatch):
    agree_on_seed()
    keras.utils.set_random_seed(3)
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(processes, "all_gather", lambda _: np.array(told))
    agree_on_seed()
    assert random_seed() == seed


@pytest.mark.parametrize("is_first", [True, False])
def test_all_are_told_of_what_the_first_could_not_do(is_first, monkeypatch):
    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        done_on_first(fail)
    told = []
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(processes, "is_first_process", lambda: is_first)
    monkeypatch.setattr(
        processes,
        "broadcast",
        lambda text: told.append(text) or "OSError: no room",
    )
    kind = OSError if is_first else ValueError
    with pytest.raises(kind, match="no room"):
        done_on_first(fail)
    assert told == ["OSError: no room" if is_first else None]
    done = []
    monkeypatch.setattr(processes, "broadcast", lambda text: text)
    done_on_first(lambda: done.append(1))
    assert done == [1] * is_first


def test_processes_with_different_seeds_are_refused(monkeypatch):
    keras.utils.set_random_seed(2**31 + 3)
    monkeypatch.setattr(processes, "num_processes", lambda: 2)
    monkeypatch.setattr(
        processes, "all_gather", lambda mine: np.array([mine, [0, 3, 8]])
    )
    with pytest.raises(ValueError, match="Received: seed=2147483651"):
        agree_on_seed()


def test_tensors_and_variables_are_fetched():
    array = np.arange(6.0, dtype="float32").reshape(2, 3)
    for tensor in (keras.ops.convert_to_tensor(array), keras.Variable(array)):
        np.testing.assert_array_equal(to_numpy(tensor), array)


@on_jax
def test_outputs_of_a_step_are_copied_to_all_processes():
    import jax

    array = np.arange(16.0, dtype="float32").reshape(8, 2)

    def step(tensor):
        return replicated({"found": tensor + 1.0})

    assert replicated(array) is array
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    with keras.distribution.DataParallel(mesh).scope():
        layout = keras.distribution.TensorLayout(("batch", None), mesh)
        rows = keras.distribution.distribute_tensor(array, layout)
        (found,) = jax.jit(step)(rows).values()
    assert not rows.is_fully_replicated and found.is_fully_replicated
    np.testing.assert_array_equal(to_numpy(found), array + 1.0)
