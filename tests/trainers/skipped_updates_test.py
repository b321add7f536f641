"""Steps whose gradient is not finite, skipped and counted."""

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations


def batches(policy, broken):
    """Six batches, of which those that are listed have an infinite weight."""
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1, seed=1)
    for i in range(6):
        inputs, actions, mask = data[i]
        scale = np.float32("inf") if i in broken else np.float32(1)
        yield inputs, actions, np.where(mask > 0, mask * scale, 0.0)


def trained(broken, patience, kept=range(6), steps=1):
    """A trainer after the batches that are kept of the six."""
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    trainer = keras_irl.IQLearn(policy, value_offset="auto")
    adam = keras.optimizers.Adam(
        1e-3, gradient_accumulation_steps=steps if steps > 1 else None
    )
    trainer.compile(adam, patience=patience)
    data = [b for i, b in enumerate(batches(policy, broken)) if i in kept]
    stream = (batch for batch in data)
    # TensorFlow counts a step more where it finds that data has ended.
    history = trainer.fit(stream, steps_per_epoch=len(data), verbose=0).history
    return trainer, history


@pytest.mark.parametrize("steps", [1, 2])
def test_a_broken_batch_leaves_no_trace(steps):
    with pytest.warns(UserWarning, match="2 training steps were skipped"):
        trainer, history = trained({1, 3}, patience=2, steps=steps)
    assert trainer.num_skipped == 2
    assert trainer.not_finite is None
    expected, logs = trained((), patience=2, kept={0, 2, 4, 5}, steps=steps)
    for name, values in logs.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for ours, theirs in zip(
        trainer.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert int(numpy(trainer.step)) == 4 // steps


def test_too_many_in_a_row_end_a_training():
    with pytest.warns(UserWarning, match="at batch 5: as in the 1 before"):
        trainer, _ = trained({0, 3, 4}, patience=2)
    assert "those of before these 2" in trainer.not_finite
    assert trainer.num_skipped == 3
    expected, _ = trained((), patience=2, kept={1, 2})
    for ours, theirs in zip(
        trainer.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_patience_is_a_number_of_steps():
    trainer = keras_irl.MLE(tiny_gpt2(max_length=8, num_layers=1))
    with pytest.raises(ValueError, match="`patience`.*Received: patience=0"):
        trainer.compile("sgd", patience=0)
    trainer.compile("sgd", patience=3)
    assert trainer.get_compile_config()["patience"] == 3
