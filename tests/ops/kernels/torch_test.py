import keras
import pytest
from kernel_cases import CASES
from kernel_cases import check_kernel

if keras.config.backend() != "torch":
    pytest.skip("Another backend has its own.", allow_module_level=True)

from keras_irl.ops.kernels import torch as kernel  # noqa: E402


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_tiles_and_their_gradients_are_those_of_the_oracle(case):
    check_kernel(kernel, case)


def test_tiles_are_those_of_a_processor():
    assert kernel.largest_tile() == (1024, 2048)
