import json
import random
import sys

import keras
import numpy as np
import pytest
from testing import numpy
from testing import tiny_t5

import keras_irl
from keras_irl.callbacks.training_state import CheckpointState
from keras_irl.callbacks.training_state import described_targets
from keras_irl.callbacks.training_state import difference
from keras_irl.callbacks.training_state import random_states
from keras_irl.callbacks.training_state import restore_random_states
from keras_irl.callbacks.training_state import state_of


@pytest.fixture(scope="module")
def trainer():
    found = keras_irl.GAIL(tiny_t5(dropout=0.1, num_layers=1))
    found.compile("adam")
    found.optimizer.build(found.trainable_variables)
    return found


def test_every_variable_is_in_it_once(trainer):
    state = state_of(trainer)
    flat = [id(variable) for group in state for variable in group]
    assert len(set(flat)) == len(flat)
    needed = [
        *trainer.variables,
        *trainer.optimizer.variables,
        *trainer.metrics_variables,
        *trainer.policy.sampler.variables,
    ]
    assert {id(variable) for variable in needed} == set(flat)
    # Paths are no names: those of a T5, and of three networks, are repeated.
    paths = [variable.path for variable in state.trained]
    assert len(set(paths)) < len(paths)
    assert any("seed_generator" in path for path in paths)


def test_arrays_are_numbered_as_they_are_described(trainer):
    state = state_of(trainer)
    arrays, described = state.arrays(), state.description()
    assert list(arrays) == sorted(arrays) == sorted(state.targets())
    rows = [row for group in described.values() for row in group]
    for (_, shape, _), array in zip(rows, arrays.values(), strict=True):
        assert list(array.shape) == shape
    last = described_targets(described["metrics"][-1:], len(arrays) - 1)
    assert list(last) == [list(arrays)[-1]]


def test_variables_are_given_their_values():
    count = keras.Variable(0, dtype="int32", trainable=False)
    variables = [keras.Variable(np.zeros(2)), count]
    values = [np.array([1.0, 2.0]), np.array(3), np.array(5.0)]
    kept = CheckpointState({}, variables, values)
    assert kept.value_of(count) is values[1]
    assert kept.metrics == values[2:]
    other = keras.Variable(0.5)
    assert kept.value_of(other) is other
    # Nothing has changed so far.
    assert int(numpy(variables[1])) == 0
    kept.assign()
    np.testing.assert_array_equal(numpy(variables[0]), [1.0, 2.0])
    assert int(numpy(variables[1])) == 3


def test_where_two_trainings_differ_is_said():
    ours = [["dropout_3/state", [2], "uint32"], ["w", [3, 4], "float32"]]
    theirs = [["dropout_9/state", [2], "uint32"], ["w", [3, 4], "float32"]]
    assert difference(theirs, ours) is None
    message = difference([theirs[0], ["w", [4, 4], "float32"]], ours)
    assert message == (
        "'w' of shape (3, 4), float32 where the checkpoint has 'w' of shape "
        "(4, 4), float32"
    )
    assert "1 variables for 2" in difference(theirs, ours[:1])


def draws():
    drawn = [random.random(), random.gauss(0.0, 1.0), np.random.normal()]
    drawn += numpy(keras.random.normal((2,))).tolist()
    if "torch" in sys.modules:
        drawn.append(float(sys.modules["torch"].rand(())))
    return drawn


def test_all_generators_go_on_as_they_would_have():
    # One draw of two normal numbers is kept for the next.
    draws()
    state = json.loads(json.dumps(random_states()))
    first = draws()
    assert draws() != first
    restore_random_states(state)
    assert draws() == first
    assert draws() != first
