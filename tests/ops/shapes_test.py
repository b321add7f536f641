import keras
import numpy as np
import pytest
from testing import numpy

from keras_irl.ops.shapes import as_tensor
from keras_irl.ops.shapes import check_actions
from keras_irl.ops.shapes import check_scalar
from keras_irl.ops.shapes import check_shapes


@pytest.mark.parametrize("values", [[[1, 2]], np.ones((1, 2)), 3.0, (1, 2)])
def test_numbers_are_made_a_tensor(values):
    found = as_tensor("x", values)
    assert keras.ops.is_tensor(found)
    np.testing.assert_array_equal(numpy(found), np.asarray(values))


@pytest.mark.parametrize("wrong", [None, "ab", [[1], [1, 2]], {}, 1j])
def test_what_are_no_numbers_is_named(wrong):
    with pytest.raises(ValueError, match="`x` must be.*Received: x="):
        as_tensor("x", wrong)


def test_a_letter_is_one_size_wherever_it_stands():
    mask, values = check_shapes(
        mask=([[1, 0]], "BT"), values=([[1.0, 2.0]], "BT")
    )
    assert tuple(mask.shape) == tuple(values.shape) == (1, 2)
    with pytest.raises(
        ValueError,
        match=r"Expected: mask \(B, T\); q \(B, T, V\)\. "
        r"Received: mask \(1, 2\); q \(1, 3, 4\)",
    ):
        check_shapes(mask=([[1, 0]], "BT"), q=(np.ones((1, 3, 4)), "BTV"))


def test_a_size_that_is_not_known_yet_agrees_with_all():
    unknown = keras.KerasTensor((None, 5))
    found, _ = check_shapes(x=(unknown, "BT"), y=(np.ones((2, 5)), "BT"))
    assert found is unknown
    with pytest.raises(ValueError, match="Received: x"):
        check_shapes(x=(unknown, "BT"), y=(np.ones((2, 6)), "BT"))


def test_a_tensor_comes_with_its_axes():
    with pytest.raises(ValueError, match='as `x=\\(x, "BT"\\)`. Received: x='):
        check_shapes(x=[1, 2])
    with pytest.raises(ValueError, match="the axes of x"):
        check_shapes(x=([1, 2], 1))


@pytest.mark.parametrize("wrong", [[0, 4], [-1], [0.5], [float("nan")]])
def test_an_action_is_an_id_of_a_token(wrong):
    with pytest.raises(ValueError, match="from 0 to 3. Received: actions"):
        check_actions(wrong, 4)
    assert check_actions([0, 3, 2.0], 4) is None
    assert check_actions([], 4) is None


def test_a_scalar_has_no_axes():
    assert float(check_scalar("weight", np.float32(2.5))) == 2.5
    with pytest.raises(ValueError, match=r"shape \(1,\).*Received: weight="):
        check_scalar("weight", [2.5])
