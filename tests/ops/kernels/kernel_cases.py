"""What the kernel of each backend must compute, against loops in NumPy."""

import types

import numpy as np
import oracles
from keras import ops
from testing import numpy
from testing import value_and_gradient

from keras_irl.ops import VocabularyHead
from keras_irl.ops.kernels.tiling import Tiling

NUM_TOKENS, WIDTH, VOCABULARY_SIZE = 7, 4, 11
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(NUM_TOKENS, WIDTH)).astype("float32")
KERNEL = RANDOM.normal(size=(VOCABULARY_SIZE, WIDTH)).astype("float32")
BIAS = RANDOM.normal(size=VOCABULARY_SIZE).astype("float32")
ACTIONS = np.array([0, 10, 3, 3, 7, 1, 9], "int32")
COUNTS = np.array([1, 1, 0, 1, 1, 0, 1], bool)
# Of action values, values and entropies.
UPSTREAM = RANDOM.normal(size=(3, NUM_TOKENS)).astype("float32")
CASES = {
    "VD": {},
    "DV": {"axes": "DV"},
    "soft cap": {"soft_cap": 2.0},
    "DV, soft cap": {"axes": "DV", "soft_cap": 2.0},
}


def oracle(hidden, kernel, bias, soft_cap):
    logits = np.float64(hidden) @ np.float64(kernel).T + bias
    if soft_cap is not None:
        logits = soft_cap * np.tanh(logits / soft_cap)
    found = np.array(oracles.token_statistics(logits, ACTIONS))
    return np.where(COUNTS, found, 0.0)


def oracle_gradient(arrays, soft_cap, epsilon=1e-5):
    """By differences of the weighted sum of what has a gradient."""

    def total(arrays):
        return (oracle(*arrays, soft_cap)[:3] * UPSTREAM).sum()

    found = []
    for place, array in enumerate(arrays):
        slope = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = np.float64(array)
                moved[index] += sign * epsilon
                ends.append(
                    total([*arrays[:place], moved, *arrays[place + 1 :]])
                )
            slope[index] = (ends[0] - ends[1]) / (2 * epsilon)
        found.append(slope)
    return found


def check_kernel(kernel_module: types.ModuleType, case: dict):
    """Compares statistics and gradients, in tiles that do not fit evenly."""
    head = VocabularyHead(None, **case)
    tiling = Tiling(VOCABULARY_SIZE, block_size=3, tile_size=4)
    is_turned = head.axes == "DV"

    def statistics(hidden, kernel, bias):
        return kernel_module.statistics_of_tokens(
            hidden,
            ops.transpose(kernel) if is_turned else kernel,
            bias,
            ops.convert_to_tensor(ACTIONS),
            counts=ops.convert_to_tensor(COUNTS),
            head=head,
            tiling=tiling,
        )

    arrays = (HIDDEN, KERNEL, BIAS)
    found = statistics(*map(ops.convert_to_tensor, arrays))
    expected = oracle(*arrays, head.soft_cap)
    for column, oracle_column in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            numpy(column), oracle_column, rtol=1e-4, atol=1e-5
        )

    def total(*arrays):
        columns = list(statistics(*arrays))[:3]
        return sum(
            ops.sum(ops.multiply(column, weights))
            for column, weights in zip(columns, UPSTREAM, strict=True)
        )

    _, slopes = value_and_gradient(total)(*arrays)
    expected = oracle_gradient(arrays, head.soft_cap)
    for slope, oracle_slope in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope, oracle_slope, rtol=1e-3, atol=1e-4)
