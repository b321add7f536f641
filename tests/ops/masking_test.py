import pathlib
import re

import numpy as np
import pytest
from keras import ops
from testing import gradient
from testing import numpy

import keras_irl
from keras_irl.ops import CONTINUES
from keras_irl.ops import check_shapes
from keras_irl.ops import continues
from keras_irl.ops import is_action
from keras_irl.ops import is_cut
from keras_irl.ops import is_start
from keras_irl.ops import mark_cut
from keras_irl.ops import masked_mean
from keras_irl.ops import masked_sum

VALUES = np.array([[1.0, 2.0, 4.0, 8.0]], "float32")


def test_only_the_tokens_that_count_enter_the_mean():
    mask = np.array([[1.0, 0.0, 1.0, CONTINUES]], "float32")
    assert numpy(masked_sum(VALUES, mask)) == 5.0
    assert numpy(masked_mean(VALUES, mask)) == 2.5


def test_weights_of_tokens_are_respected():
    mask = np.array([[0.5, 0.0, 1.5, 0.0]], "float32")
    assert numpy(masked_mean(VALUES, mask)) == pytest.approx(6.5 / 2)


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, -np.inf])
def test_rubbish_in_padding_leaves_no_trace_in_value_or_gradient(rubbish):
    mask = np.array([[1.0, 1.0, 0.0, CONTINUES]], "float32")
    values = VALUES.copy()
    values[0, 2:] = rubbish
    assert numpy(masked_mean(values, mask)) == 1.5
    (slope,) = gradient(lambda values: masked_mean(values, mask), values)
    np.testing.assert_array_equal(slope, [[0.5, 0.5, 0.0, 0.0]])


def test_the_mean_of_nothing_is_nan_and_has_no_gradient():
    mask = np.zeros((1, 4), "float32")
    assert np.isnan(numpy(masked_mean(VALUES, mask)))
    (slope,) = gradient(lambda values: masked_mean(values, mask), VALUES)
    np.testing.assert_array_equal(slope, np.zeros((1, 4)))


def test_boolean_and_integer_masks_mean_the_same():
    mask = np.array([[True, False, True, False]])
    for same in (mask, mask.astype("int32"), mask.astype("float32")):
        assert numpy(masked_mean(VALUES, same)) == 2.5


def test_a_cut_is_told_from_an_end():
    mask = np.array([[0.0, 1.0, 1.0, CONTINUES, 0.0]], "float32")
    assert numpy(is_action(mask)).tolist() == [
        [False, True, True, False, False]
    ]
    assert numpy(continues(mask)).tolist() == [[False, True, True, True, False]]


def test_what_is_marked_as_cut_is_read_as_cut_and_weighs_nothing():
    mask = np.array([[0, 1, 1, 0, 0]])
    cut = np.array([[False, False, False, True, False]])
    for marked in (mark_cut(mask, cut), mark_cut(ops.array(mask), cut)):
        np.testing.assert_array_equal(numpy(is_cut(marked)), cut)
        np.testing.assert_array_equal(numpy(marked), mask)
        assert numpy(marked).dtype == "float32"
    assert isinstance(mark_cut(mask, cut), np.ndarray)
    # Neither an end nor a weight is one.
    assert not numpy(is_cut(mask)).any()
    assert not numpy(is_cut(np.float32([[-1.0, 0.5]]))).any()


def test_the_sign_of_a_zero_is_written_and_read_in_one_file():
    package = pathlib.Path(keras_irl.__file__).parent
    sign = re.compile(r"signbit|copysign|\bCONTINUES\b(?! as|`)|-0\.0\b")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if sign.search(path.read_text("utf-8"))
    }
    assert found - {"ops/__init__.py"} == {"ops/masking.py"}


def test_each_text_starts_once():
    mask = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], "float32")
    assert numpy(is_start(mask)).astype(int).tolist() == [
        [0, 1, 0, 0, 1],
        [1, 0, 0, 0, 0],
    ]


def test_disagreeing_shapes_are_named():
    with pytest.raises(
        ValueError, match=r"Expected: mask \(B, T\).*Received: "
    ):
        check_shapes(mask=(np.ones((2, 3, 1)), "BT"))
    with pytest.raises(ValueError, match=r"values \(2, 3\); mask \(2, 4\)"):
        check_shapes(
            values=(np.ones((2, 3)), "BT"), mask=(np.ones((2, 4)), "BT")
        )


def test_weights_may_sum_to_less_than_one():
    mask = [[0.25, 0.0, 0.5, 0.0]]
    assert float(masked_sum(VALUES, mask)) == pytest.approx(2.25)
    assert float(masked_mean(VALUES, mask)) == pytest.approx(3.0)
    assert float(masked_mean(VALUES, [[1e-6, 0.0, 0.0, 0.0]])) == (
        pytest.approx(1.0)
    )


@pytest.mark.parametrize(
    ("mask", "cut"),
    [
        (np.ones((2, 3)), np.zeros((2, 4), bool)),
        (ops.ones((2, 3)), np.zeros((3, 3), bool)),
        (np.array([["a"]]), np.array([[True]])),
    ],
)
def test_only_a_mask_of_the_same_shape_can_be_marked(mask, cut):
    with pytest.raises(ValueError, match="Received: "):
        mark_cut(mask, cut)


def test_a_masked_array_is_not_taken_for_what_it_hides():
    hidden = np.ma.masked_array([[1.0, 99.0]], [[0, 1]])
    with pytest.raises(ValueError, match="no mask of its own.*Received: value"):
        masked_mean(hidden, [[1, 1]])
    shown = np.ma.masked_array([[1.0, 2.0]])
    assert float(masked_mean(shown, [[1, 1]])) == 1.5
