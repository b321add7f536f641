"""A batch of texts."""

import keras
import numpy as np

from keras_irl.data.texts import KerasBatch


def test_keras_takes_texts_for_a_batch_with_sample_weights():
    inputs = {"token_ids": np.zeros((2, 3), "int32")}
    texts = KerasBatch(
        inputs, np.ones((2, 3), "int32"), np.ones((2, 3), "float32")
    )
    found = keras.utils.unpack_x_y_sample_weight(texts)
    assert found[0] is inputs
    assert found[1] is texts.actions and found[2] is texts.mask


def test_what_goes_on_is_a_tensor_of_its_own_between_two_batches_of_keras():
    weight = np.array([[0.0, 1.0, -0.0], [1.0, 0.0, 0.0]], "float32")
    batch = KerasBatch({}, np.ones((2, 3), "int32"), weight)
    texts = batch.as_texts()
    assert not np.signbit(texts.mask).any()
    np.testing.assert_array_equal(texts.mask, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(texts.continues, [[0, 1, 1], [1, 0, 0]])
    again = texts.as_keras_batch()
    np.testing.assert_array_equal(again.mask, weight)
    np.testing.assert_array_equal(np.signbit(again.mask), np.signbit(weight))
    assert again.inputs is batch.inputs and again.actions is batch.actions
