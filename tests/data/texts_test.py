"""A batch of texts."""

import keras
import numpy as np

from keras_irl.data.texts import Texts


def test_keras_takes_texts_for_a_batch_with_sample_weights():
    inputs = {"token_ids": np.zeros((2, 3), "int32")}
    texts = Texts(inputs, np.ones((2, 3), "int32"), np.ones((2, 3), "float32"))
    found = keras.utils.unpack_x_y_sample_weight(texts)
    assert found[0] is inputs
    assert found[1] is texts.actions and found[2] is texts.mask
