"""Seeding of new layers."""

import random

import keras
import numpy as np
from testing import numpy

from keras_irl.models.seeding import seeded


def made(seed):
    with seeded(seed):
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
    return numpy(layer.kernel)


def test_layers_of_one_seed_are_alike():
    np.testing.assert_array_equal(made(1), made(1))
    assert not np.array_equal(made(1), made(2))


def test_the_generator_goes_on_as_if_nothing_had_been_drawn():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    made(1)
    assert random.random() == expected
