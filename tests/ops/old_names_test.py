"""Old names of masks mean what they meant, and say what is there now."""

import numpy as np
import pytest
from keras import ops
from testing import numpy

import keras_irl

MASK = np.array([[0, 1, 1, 0, 0]])
IS_CUT = np.array([[False, False, True, True, False]])
MARKED = np.array([[0.0, 1.0, -0.0, -0.0, 0.0]], "float32")


@pytest.mark.parametrize("kind", (np.asarray, ops.convert_to_tensor))
def test_what_is_marked_counts_no_more_and_goes_on(kind):
    with pytest.warns(DeprecationWarning, match="encode_sample_weight` now"):
        found = keras_irl.ops.mark_cut(kind(MASK), kind(IS_CUT))
    assert isinstance(found, np.ndarray) == (kind is np.asarray)
    np.testing.assert_array_equal(numpy(found), MARKED)
    np.testing.assert_array_equal(np.signbit(numpy(found)), IS_CUT)


def test_marks_are_read():
    with pytest.warns(
        DeprecationWarning, match=r"\(mask\).is_cut` now"
    ) as told:
        found = keras_irl.ops.is_cut(MARKED)
    np.testing.assert_array_equal(numpy(found), IS_CUT)
    # Whoever calls is told where.
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"\(mask\).continues` now"):
        found = keras_irl.ops.continues(MARKED)
    np.testing.assert_array_equal(numpy(found), IS_CUT | (MASK > 0))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
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
        keras_irl.ops.mark_cut(mask, cut)
