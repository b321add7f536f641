import numpy as np
import pytest
from testing import numpy

from keras_irl.ops import VocabularyHead

NUMBERS = np.random.default_rng(0)
HIDDEN = NUMBERS.normal(size=(2, 3, 4)).astype("float32")
KERNEL = NUMBERS.normal(size=(5, 4)).astype("float32")
BIAS = NUMBERS.normal(size=5).astype("float32")


@pytest.mark.parametrize("soft_cap", [None, 0.5])
@pytest.mark.parametrize("bias", [None, BIAS], ids=["plain", "bias"])
@pytest.mark.parametrize("axes", ["VD", "DV"])
def test_values_match_the_equation(axes, bias, soft_cap):
    kernel = KERNEL if axes == "VD" else KERNEL.T
    head = VocabularyHead(kernel, bias, 0.3, soft_cap, axes)
    expected = np.zeros((2, 3, 5))
    for row, position, token in np.ndindex(2, 3, 5):
        value = 0.3 * np.float64(HIDDEN[row, position]) @ KERNEL[token]
        value += 0.0 if bias is None else bias[token]
        if soft_cap is not None:
            value = soft_cap * np.tanh(value / soft_cap)
        expected[row, position, token] = value
    np.testing.assert_allclose(
        numpy(head.q_values(HIDDEN)), expected, rtol=1e-5, atol=1e-6
    )
    assert head.vocabulary_size == 5


def test_values_of_short_numbers_are_float32():
    hidden = HIDDEN.astype("float16")
    values = VocabularyHead(KERNEL.astype("float16"), BIAS).q_values(hidden)
    assert numpy(values).dtype == "float32"
    expected = VocabularyHead(KERNEL, BIAS).q_values(HIDDEN)
    np.testing.assert_allclose(numpy(values), numpy(expected), atol=2e-2)


def test_longer_numbers_are_shortened():
    tensors = VocabularyHead(KERNEL.astype("float64")).tensors(HIDDEN)
    assert numpy(tensors.kernel).dtype == "float32"
    assert tensors.bias is None


def test_settings_without_arrays_are_the_rest():
    head = VocabularyHead(KERNEL, BIAS, 0.3, 2.0, "VD", False, KERNEL)
    assert head.without_arrays() == (None, None, 0.3, 2.0, "VD", False, None)


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"kernel \(4, 5\)"):
        VocabularyHead(KERNEL.T).q_values(HIDDEN)
    with pytest.raises(ValueError, match=r"bias \(4,\)"):
        VocabularyHead(KERNEL, BIAS[1:]).q_values(HIDDEN)
