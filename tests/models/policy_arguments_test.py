"""Validation of lengths and of the precision."""

import numpy as np
import pytest

from keras_irl.models.policy_arguments import check_dtype
from keras_irl.models.policy_arguments import check_lengths


def test_lengths_are_plain_numbers_or_none():
    lengths = check_lengths(np.int64(3), None)
    assert lengths == [3, None] and type(lengths[0]) is int


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("max_prompt_length", (0, 5)), ("max_length", (5, "long"))],
)
def test_a_length_that_is_none_is_named(name, arguments):
    with pytest.raises(ValueError, match=f"`{name}`.*counts tokens.*Received"):
        check_lengths(*arguments)


def test_a_precision_is_one_that_keras_knows():
    assert check_dtype(None) is None
    assert check_dtype("mixed_bfloat16") == "mixed_bfloat16"
    with pytest.raises(ValueError, match="bfloat16.*Received: dtype='half'"):
        check_dtype("half")
