"""A step of every family on eight devices is that of one device."""

import keras
import matrix
import numpy as np
import pytest
from families import FAMILIES

from keras_irl.distribution import Sharded

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)


def distribution(strategy):
    """A mesh that divides two heads, and all but the smallest variables."""
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    if strategy == "tensor":
        mesh = keras.distribution.DeviceMesh((4, 2), ["batch", "model"])
    return Sharded(mesh, strategy, min_size=64)


def check(family, strategy):
    # The second loss is that of the weights which the first step made.
    expected = matrix.losses("IQLearn", family, None, num_steps=2)
    found = matrix.losses(
        "IQLearn", family, distribution(strategy), num_steps=2
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fsdp", "tensor"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_of_every_family(family, strategy):
    check(family, strategy)


@pytest.mark.parametrize(
    ("family", "strategy"),
    [
        # Experts; the families of matrix_test.py and layouts_test.py, and the
        # rules of all, stand for the others.
        ("mixtral", "tensor"),
        pytest.param("gemma", "fsdp", marks=pytest.mark.slow),
        pytest.param("bart", "tensor", marks=pytest.mark.slow),
    ],
)
def test_a_step_of_three_families(family, strategy):
    check(family, strategy)
