import keras
import keras_hub
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import ragged_batch
from testing import tiny_gpt2
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.ops import implicit_rewards
from keras_irl.ops import token_statistics
from keras_irl.trainers import ValueOffset

SHIFT = -50.0


class ShiftedGPT2(keras_hub.models.GPT2CausalLM):
    """A policy whose logits all carry a large common offset."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) + SHIFT


def train(policy, value_offset):
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1)
    trainer = keras_irl.IQLearn(
        policy, 0.1, discount=1.0, value_offset=value_offset
    )
    trainer.compile(keras.optimizers.SGD(0.01))
    steps = StepLosses()
    logs = trainer.fit(dataset, epochs=4, verbose=0, callbacks=[steps]).history
    return trainer, steps.losses, logs


def shifted(policy):
    return ShiftedGPT2(policy.backbone, policy.preprocessor)


def test_a_shift_of_all_logits_changes_nothing():
    policy = quick_start(tiny_gpt2())
    start = policy.get_weights()
    trainer, losses, logs = train(policy, "auto")
    policy.set_weights(start)
    moved, moved_losses, moved_logs = train(shifted(policy), "auto")
    np.testing.assert_allclose(losses, moved_losses, rtol=2e-3)
    assert moved.value_offset - trainer.value_offset == pytest.approx(
        -SHIFT, abs=0.02
    )
    for name in ("reward", "start_value", "gradient_norm"):
        np.testing.assert_allclose(
            logs[name], moved_logs[name], rtol=1e-2, atol=1e-2, err_msg=name
        )
    # Without the offset the first losses are those of the level alone.
    policy.set_weights(start)
    _, bad_losses, bad_logs = train(shifted(policy), 0.0)
    assert bad_losses[0] > 2 * losses[0]
    assert bad_logs["gradient_norm"][0] > 1.5 * logs["gradient_norm"][0]


def test_no_other_offset_makes_the_rewards_smaller():
    q_values, actions, mask = ragged_batch(extra=2)
    statistics = token_statistics(q_values + 7.0, actions)
    offset = ValueOffset("auto")
    found = offset.shift(statistics, mask, 0.9, training=True)
    rewards = implicit_rewards(*found[:2], mask, 0.9)
    best = np.sum(
        np.square(np.asarray(keras.ops.convert_to_numpy(rewards)))[mask > 0]
    )
    level = float(numpy(offset.offset))
    for other in (level - 0.1, level + 0.1):
        shifted = ValueOffset(other).shift(statistics, mask, 0.9, False)
        rewards = implicit_rewards(*shifted[:2], mask, 0.9)
        assert np.sum(np.square(numpy(rewards))[mask > 0]) > best


def test_only_the_first_batches_of_training_calibrate():
    q_values, actions, mask = ragged_batch()
    statistics = token_statistics(q_values, actions)
    offset = ValueOffset("auto")
    offset.shift(statistics, mask, 0.9, training=False)
    assert float(numpy(offset.offset)) == 0.0
    offset.shift(statistics, mask, 0.9, training=True, step=8)
    level = float(numpy(offset.offset))
    assert level != 0.0
    elsewhere = token_statistics(q_values + 100.0, actions)
    offset.shift(elsewhere, mask, 0.9, training=True, step=10)
    assert float(numpy(offset.offset)) == level
    offset.shift(elsewhere, mask, 0.9, training=True, step=9)
    assert float(numpy(offset.offset)) != level


def test_a_batch_that_pins_no_level_leaves_it_at_zero():
    # At discount 1 only an end says where zero is, and these texts were cut.
    statistics = token_statistics(np.ones((1, 2, 3)), np.zeros((1, 2)))
    offset = ValueOffset("auto")
    mask = np.array([[1.0, -0.0]], "float32")
    offset.shift(statistics, mask, 1.0, training=True)
    assert float(numpy(offset.offset)) == 0.0


def test_the_offset_is_saved_with_the_trainer(tmp_path):
    policy = quick_start(tiny_policy("t5"))
    trainer, _, _ = train(policy, "auto")
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert trainer.value_offset == loaded.value_offset != 0.0
    assert loaded.get_config()["value_offset"] == "auto"


@pytest.mark.parametrize("value_offset", ["large", None, float("nan")])
def test_what_is_no_offset_is_refused(value_offset):
    with pytest.raises(ValueError, match="number of nats.*Received: value_off"):
        ValueOffset(value_offset)
