import pathlib
import re

import numpy as np
import pytest
from keras import ops
from testing import numpy

import keras_irl
from keras_irl.ops import CONTINUES
from keras_irl.ops import TokenMask
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import encode_sample_weight

MASK = np.array([[0, 1, 1, 0, 0], [1, 1, 1, 1, 1]], "float32")
IS_CUT = np.zeros((2, 5), bool)
IS_CUT[0, 3] = True


def test_what_is_encoded_is_decoded():
    for continues in (IS_CUT, IS_CUT | (MASK > 0)):
        for kind in (np.asarray, ops.convert_to_tensor, np.ndarray.tolist):
            encoded = encode_sample_weight(kind(MASK), kind(continues))
            found = decode_sample_weight(encoded)
            np.testing.assert_array_equal(numpy(found.weights), MASK)
            assert not np.signbit(numpy(found.weights)).any()
            np.testing.assert_array_equal(
                numpy(found.continues), IS_CUT | (MASK > 0)
            )
            np.testing.assert_array_equal(numpy(found.is_cut), IS_CUT)


def test_what_is_decoded_is_encoded_to_the_bit():
    weight = np.array([[0.0, 0.5, CONTINUES, 0.0], [1.0] * 4], "float32")
    again = encode_sample_weight(*decode_sample_weight(weight))
    assert again.tobytes() == weight.tobytes()


def test_keras_sees_zeros_and_ones():
    encoded = encode_sample_weight(MASK, IS_CUT)
    np.testing.assert_array_equal(encoded, MASK)
    assert np.signbit(encoded).sum() == 1 and np.signbit(encoded[0, 3])


def test_arrays_stay_arrays_of_float32():
    # Data is made in threads, without a backend.
    encoded = encode_sample_weight(MASK.astype("int32"), IS_CUT)
    assert isinstance(encoded, np.ndarray) and encoded.dtype == "float32"
    found = decode_sample_weight(encoded.astype("float64"))
    assert isinstance(found, TokenMask)
    assert all(isinstance(array, np.ndarray) for array in found)
    assert found.weights.dtype == "float32" and found.continues.dtype == bool
    assert ops.is_tensor(encode_sample_weight(ops.array(MASK), IS_CUT))


def test_the_sign_of_a_plain_mask_is_not_encoded():
    plain = np.array([[1.0, -0.0, -0.0]], "float32")
    encoded = encode_sample_weight(plain, np.array([[True, True, False]]))
    assert np.signbit(encoded).tolist() == [[False, True, False]]


def test_neither_an_end_nor_a_weight_is_a_cut():
    found = decode_sample_weight(np.float32([[0.0, -1.0, 0.5, np.nan]]))
    assert not found.is_cut.any()
    assert found.continues.tolist() == [[False, False, True, False]]


def test_the_sign_of_a_zero_is_written_and_read_in_one_file():
    package = pathlib.Path(keras_irl.__file__).parent
    sign = re.compile(r"signbit|copysign|\bCONTINUES\b(?! as|`)|-0\.0\b")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if sign.search(path.read_text("utf-8"))
    }
    # What ends with version 0.3 wrote it otherwise.
    others = {"ops/__init__.py", "ops/old_names.py"}
    assert found - others == {"ops/sample_weights.py"}


@pytest.mark.parametrize(
    ("mask", "cut"),
    [
        (np.ones((2, 3)), np.zeros((2, 4), bool)),
        (ops.ones((2, 3)), np.zeros((3, 3), bool)),
        (np.array([["a"]]), np.array([[True]])),
    ],
)
def test_only_numbers_of_one_shape_are_encoded(mask, cut):
    with pytest.raises(ValueError, match="Received: "):
        encode_sample_weight(mask, cut)


@pytest.mark.parametrize(
    "wrong", (np.ones(3), np.ones((2, 3, 1)), "a", None, np.array([["a"]]))
)
def test_only_numbers_of_tokens_are_decoded(wrong):
    with pytest.raises(ValueError, match="Received: .*sample_weight"):
        decode_sample_weight(wrong)
