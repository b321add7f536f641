import keras
import numpy as np
import pytest
from testing import gradient
from testing import numpy
from testing import ragged_batch

from keras_irl.losses import MLELoss
from keras_irl.losses import entropy_loss
from keras_irl.ops import masked_mean
from keras_irl.ops import token_statistics


def test_the_bonus_is_the_mean_entropy():
    q_values, actions, mask = ragged_batch()
    plain = numpy(MLELoss()(actions, q_values, mask))
    bonus = numpy(MLELoss(entropy_weight=0.3)(actions, q_values, mask))
    entropies = token_statistics(q_values, actions).entropies
    np.testing.assert_allclose(
        plain - bonus, 0.3 * numpy(masked_mean(entropies, mask)), rtol=1e-5
    )


def test_descending_the_bonus_raises_the_entropy():
    q_values, actions, mask = ragged_batch()
    loss = MLELoss(entropy_weight=5.0)
    (slope,) = gradient(lambda q: loss(actions, q, mask), q_values)
    before, after = (
        numpy(masked_mean(token_statistics(q, actions).entropies, mask))
        for q in (q_values, q_values - slope)
    )
    assert after > before


def test_survives_a_config_round_trip():
    loss = MLELoss(entropy_weight=0.05)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == loss.get_config()
    assert again.entropy_weight == 0.05


def test_a_negative_entropy_weight_is_refused():
    with pytest.raises(ValueError, match="Received: entropy_weight=-0.1"):
        MLELoss(entropy_weight=-0.1)


def test_a_tensor_of_a_negative_entropy_weight_gives_no_loss():
    entropies = np.array([[0.5, 1.0]], "float32")
    for weight, expected in ((0.2, [[-0.1, -0.2]]), (-0.2, [[np.nan] * 2])):
        found = entropy_loss(entropies, keras.ops.convert_to_tensor(weight))
        np.testing.assert_allclose(numpy(found), expected, rtol=1e-6)
