import numpy as np
from keras import ops
from testing import gradient
from testing import numpy

from keras_irl.losses.finite import nan_unless_finite
from keras_irl.losses.finite import where_finite

BROKEN = np.array([np.nan, np.inf, -np.inf, 3.0], "float32")


def test_values_are_those_of_the_function_everywhere():
    found = numpy(where_finite(ops.square, ops.convert_to_tensor(BROKEN)))
    np.testing.assert_array_equal(found, np.square(BROKEN))


def test_the_gradient_is_zero_where_an_input_is_not_finite():
    def total(x, y):
        product = where_finite(ops.multiply, x, y)
        return ops.sum(ops.where(ops.isfinite(product), product, 0.0))

    fine = np.array([1.0, 2.0, 5.0, 7.0], "float32")
    to_first, to_second = gradient(total, BROKEN, fine)
    np.testing.assert_array_equal(to_first, [0.0, 0.0, 0.0, 7.0])
    np.testing.assert_array_equal(to_second, [0.0, 0.0, 0.0, 3.0])


def test_the_gradient_of_a_finite_loss_is_its_own():
    x = np.array([1.0, 2.0], "float32")
    for num_tokens in (3, 0):
        (slope,) = gradient(
            lambda x, n=num_tokens: nan_unless_finite(2.0 * ops.sum(x), n), x
        )
        np.testing.assert_array_equal(slope, [2.0, 2.0])


def test_a_finite_gradient_of_an_infinite_loss_shows():
    def loss(x):
        infinite = ops.stop_gradient(ops.sum(x) * np.float32("inf"))
        return nan_unless_finite(ops.sum(x) + infinite, 3)

    (slope,) = gradient(loss, np.array([1.0, 2.0], "float32"))
    assert np.isnan(slope).all()
