import keras
import numpy as np
import oracles
import pytest
from testing import numpy
from testing import ragged_batch

from keras_irl.losses import TokenLoss
from keras_irl.losses.token_loss import require_mask
from keras_irl.losses.token_loss import told_what_continues


class NegativeLogLikelihood(TokenLoss):
    def token_losses(self, statistics, mask):
        return statistics.values - statistics.action_values


def test_is_the_mean_over_the_tokens_that_count():
    q_values, actions, mask = ragged_batch(extra=3)
    losses = []
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        taken, values, *_ = oracles.token_statistics(
            q_values[row, :length], actions[row, :length]
        )
        losses.extend(values - taken)
    loss = NegativeLogLikelihood(name="nll")
    found = loss(actions, q_values, sample_weight=mask)
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_actions_stay_integers_whatever_the_precision():
    # bfloat16 knows no 999.
    q_values = np.zeros((1, 1, 1001), "float32")
    q_values[..., 999] = 50.0
    before = keras.config.floatx()
    keras.config.set_floatx("bfloat16")
    try:
        loss = NegativeLogLikelihood(name="nll")
        found = loss(np.array([[999]]), q_values, sample_weight=np.ones((1, 1)))
    finally:
        keras.config.set_floatx(before)
    assert float(found) == pytest.approx(0.0, abs=1e-4)


def test_a_mask_is_required_and_read_in_float32():
    with pytest.raises(ValueError, match="`Mine` needs.*sample_weight=None"):
        require_mask(None, "Mine")
    with pytest.raises(ValueError, match="Received: sample_weight='a'"):
        require_mask("a", "Mine")
    half = np.array([[1.0, 1e-4, -0.0]], "float16")
    mask, continues = require_mask(half, "Mine")
    assert keras.backend.standardize_dtype(mask.dtype) == "float32"
    np.testing.assert_array_equal(numpy(mask), half)
    np.testing.assert_array_equal(numpy(continues), [[True] * 3])
    assert not np.signbit(numpy(mask)).any()


class Told(TokenLoss):
    """Asks where texts go on, which `Mine` does not."""

    def token_losses(self, statistics, mask, *, continues=None):
        return keras.ops.cast(continues, "float32")


def test_a_loss_that_asks_is_told_where_texts_go_on():
    actions, q_values = np.zeros((1, 3), int), np.zeros((1, 3, 2), "float32")
    weight = np.array([[0.5, 0.0, -0.0]], "float32")
    assert float(Told("told")(actions, q_values, weight)) == 1.0
    # What it says of states that do not count is not looked at.
    told = told_what_continues(
        Told("told").token_losses, None, None, continues=weight
    )
    np.testing.assert_array_equal(numpy(told), weight)


def test_a_loss_without_an_equation_is_none():
    with pytest.raises(NotImplementedError):
        TokenLoss(name="nothing").token_losses(None, None)
