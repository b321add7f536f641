"""What `fit` of keras-hub says of demonstrations, and of anything else."""

import logging
import warnings

import pytest
from testing import tiny_policy

from keras_irl.data import demonstrations
from keras_irl.expected_warnings import hide_expected_warnings
from keras_irl.losses import IQLearnLoss

MASK = (
    "Layer 'attention' (of type {}) was passed an input with a mask attached "
    "to it. However, this layer does not support masking and will therefore "
    "destroy the mask information"
)
SHUFFLE = (
    "`shuffle=True` was passed, but will be ignored since the data `x` was "
    "provided as a {}"
)


def test_a_policy_is_fitted_in_silence(capfd, caplog):
    policy = tiny_policy("t5")
    policy.compile(loss=IQLearnLoss())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        data = demonstrations(policy, ["a fox", "a dog"], ["jumps", "lies"], 2)
        policy.fit(data, verbose=0)
    printed = capfd.readouterr()
    assert (printed.out, printed.err, caplog.messages) == ("", "", [])


@pytest.mark.parametrize(
    ("message", "is_hidden"),
    [
        (MASK.format("T5MultiHeadAttention"), True),
        (MASK.format("MyAttention"), False),
        (SHUFFLE.format("grain dataset"), True),
        (SHUFFLE.format("tf.data.Dataset"), False),
    ],
)
def test_only_what_is_meant_to_be_so_is_hidden(message, is_hidden):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        hide_expected_warnings()
        warnings.warn(message, stacklevel=1)
    assert len(shown) == (not is_hidden)


def test_other_lines_of_grain_are_told(caplog):
    hide_expected_warnings()
    hide_expected_warnings()
    logger = logging.getLogger("absl")
    logger.warning("prefetch_buffer_size=%s is smaller than num_threads", 8)
    logger.warning("the data set is empty")
    assert caplog.messages == ["the data set is empty"]
    names = [type(found).__name__ for found in logger.filters]
    assert names.count("_WithoutReadAhead") == 1
