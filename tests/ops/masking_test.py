import numpy as np
import pytest
from testing import gradient
from testing import numpy

from keras_irl.ops import check_shapes
from keras_irl.ops import is_action
from keras_irl.ops import is_start
from keras_irl.ops import masked_mean
from keras_irl.ops import masked_sum
from keras_irl.ops.masking import goes_on

VALUES = np.array([[1.0, 2.0, 4.0, 8.0]], "float32")


def test_only_the_tokens_that_count_enter_the_mean():
    mask = np.array([[1.0, 0.0, 1.0, -0.0]], "float32")
    assert numpy(masked_sum(VALUES, mask)) == 5.0
    assert numpy(masked_mean(VALUES, mask)) == 2.5


def test_weights_of_tokens_are_respected():
    mask = np.array([[0.5, 0.0, 1.5, 0.0]], "float32")
    assert numpy(masked_mean(VALUES, mask)) == pytest.approx(6.5 / 2)


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, -np.inf])
def test_rubbish_in_padding_leaves_no_trace_in_value_or_gradient(rubbish):
    mask = np.array([[1.0, 1.0, 0.0, -0.0]], "float32")
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


def test_a_text_goes_on_at_its_actions_and_where_it_was_cut():
    mask = np.array([[0.0, 1.0, 0.5, -0.0, 0.0]], "float32")
    actions = [[False, True, True, False, False]]
    assert numpy(is_action(mask)).tolist() == actions
    # Without more, it ends with its last action, whatever the sign of a zero.
    assert numpy(goes_on(mask, None)).tolist() == actions
    for cut in ([[0, 0, 0, 1, 0]], [[False, True, True, True, False]]):
        assert numpy(goes_on(mask, cut)).tolist() == [
            [False, True, True, True, False]
        ]
    with pytest.raises(ValueError, match=r"continues \(1, 2\)"):
        goes_on(mask, [[True, False]])


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


def test_a_masked_array_is_not_taken_for_what_it_hides():
    hidden = np.ma.masked_array([[1.0, 99.0]], [[0, 1]])
    with pytest.raises(ValueError, match="no mask of its own.*Received: value"):
        masked_mean(hidden, [[1, 1]])
    shown = np.ma.masked_array([[1.0, 2.0]])
    assert float(masked_mean(shown, [[1, 1]])) == 1.5
