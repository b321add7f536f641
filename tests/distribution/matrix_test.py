"""Ten losses on eight devices are those of one device.

The whole matrix takes a quarter of an hour and is run nightly, its diagonal
always.
"""

import functools
import itertools

import keras
import matrix
import numpy as np
import pytest

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

# Every method and strategy, and both ways to the statistics.
DIAGONAL = [
    ("MLE", "gpt2", "data parallel", True),
    ("IQLearn", "llama", "tensor", True),
    ("IQLearn", "t5", "fsdp+tensor", True),
    ("OnlineIQLearn", "gemma", "fsdp", False),
    ("GAIL", "gpt2", "tensor", False),
]
# Compiling a BART takes longest.
SLOW = ("MLE", "bart", "fsdp", True)
WHOLE = [
    case
    for case in itertools.product(
        matrix.METHODS, matrix.FAMILIES, matrix.STRATEGIES, (True, False)
    )
    if case not in (*DIAGONAL, SLOW)
]
# Weights are whole there, as in Keras's own; rows are laid out by us.
ROWS_ALONE = [
    ("IQLearn", "gpt2", "data", True),
    ("GAIL", "t5", "data", False),
]


@functools.lru_cache(maxsize=2)
def of_one_device(method, family, tiled, num_steps):
    return matrix.losses(method, family, None, tiled, num_steps)


def check(case, num_steps):
    method, family, strategy, tiled = case
    expected = of_one_device(method, family, tiled, num_steps)
    found = matrix.losses(method, family, strategy, tiled, num_steps)
    assert len(found) == num_steps
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "case", [*DIAGONAL, pytest.param(SLOW, marks=pytest.mark.slow)], ids=str
)
def test_the_diagonal_of_the_matrix(case):
    check(case, num_steps=10)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*WHOLE, *ROWS_ALONE], ids=str)
def test_the_whole_matrix(case):
    check(case, num_steps=10)
