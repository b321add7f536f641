"""Steps that are not finite are skipped and counted, and end a fit."""

import types
import warnings

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
from keras_irl.trainers.nonfinite_updates import EndOnNonfinite

# Others take 10 s to compile.
in_one_backend = pytest.mark.backends("torch")


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


@pytest.mark.parametrize("told", [(0, 3, 4, 5), (4, 3, 5, 0), (5, 4, 0, 3)])
def test_the_batch_is_the_right_one_in_whatever_order_threads_tell(told):
    optimizer = types.SimpleNamespace(
        patience=2, num_broken=0, has_given_up=False
    )
    model = types.SimpleNamespace(steps_per_execution=1, stop_training=False)
    callback = EndOnNonfinite(optimizer)
    callback.set_model(model)
    callback.on_epoch_begin(0)
    for batch in told:
        callback.on_train_batch_end(batch, {"gradient_norm": float("nan")})
    assert callback.found == (0, 4)
    assert model.stop_training


def test_a_patience_is_a_number_of_steps():
    trainer = keras_irl.MLE(tiny_gpt2(max_length=8, num_layers=1))
    with pytest.raises(ValueError, match="`patience`.*Received: patience=0"):
        trainer.compile("sgd", patience=0)
    trainer.compile("sgd", patience=3)
    assert trainer.get_compile_config()["patience"] == 3


def tiny():
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1, seed=1)
    return policy, data


def at_once(policy):
    """An adversary whose policy has no warm-up to wait for."""
    return keras_irl.GAIL(
        policy, policy_gradient=keras_irl.PolicyGradient(warmup_steps=0)
    )


class EachStep(keras.callbacks.Callback):
    """Keeps the weights of the policy after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.policy.get_weights())


@pytest.mark.parametrize(
    ("make", "learning_rate"),
    [
        (keras_irl.MLE, 1e30),
        (lambda policy: keras_irl.IQLearn(policy, td_weight=1e38), 1e-3),
        (keras_irl.OnlineIQLearn, 1e30),
        (at_once, 1e30),
    ],
    ids=["mle", "iq_learn", "online_iq_learn", "gail"],
)
def test_a_fit_ends_at_the_first_loss_that_is_not_finite(make, learning_rate):
    policy, data = tiny()
    trainer = make(policy)
    trainer.compile(keras.optimizers.SGD(learning_rate))
    start, each = trainer.get_weights(), EachStep()
    with pytest.warns(UserWarning, match=r"ended in epoch 1 at batch (\d)"):
        history = trainer.fit(data, epochs=9, verbose=0, callbacks=[each])
    assert history.epoch == [0]
    assert "Received: epoch=0, batch=" in trainer.not_finite
    last = int(trainer.not_finite.split("batch=")[1].split(",")[0])
    assert len(each.weights) == last + 1 < 6
    # To the bit those of before the batch that ended it.
    before = each.weights[last - 1] if last else None
    for index, weight in enumerate(policy.get_weights()):
        assert np.isfinite(weight).all()
        if before is not None:
            np.testing.assert_array_equal(weight, before[index])
    assert all(np.isfinite(w).all() for w in trainer.get_weights())
    # It goes on with another optimizer, from weights that are all right.
    trainer.set_weights(start)
    trainer.compile(keras.optimizers.SGD(1e-9))
    if isinstance(trainer, keras_irl.IQLearn):
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not finite")
        history = trainer.fit(data, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert trainer.not_finite is None


def test_an_end_is_noticed_though_nobody_waits_for_the_steps():
    policy, data = tiny()
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(1e30))
    start = policy.get_weights()
    with pytest.warns(UserWarning, match="ended in epoch 1 at batch 2:"):
        trainer.fit(data, epochs=9, verbose=0)
    finite = policy.get_weights()
    # The weights after the first step, which a second run shows.
    policy.set_weights(start)
    trainer.compile(keras.optimizers.SGD(1e30))
    trainer.fit(data, steps_per_epoch=1, verbose=0)
    for ours, theirs in zip(finite, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(
    keras.config.backend() == "jax",
    reason="XLA has no attention in float16 for processors.",
)
def test_overflows_that_loss_scaling_takes_care_of_end_nothing():
    policy = quick_start(
        tiny_gpt2(max_length=32, dtype="mixed_float16", num_layers=1)
    )
    data = demonstrations(policy, PROMPTS * 2, RESPONSES * 2, 1)
    trainer = keras_irl.MLE(policy)
    sgd = keras.optimizers.SGD(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(sgd, initial_scale=2.0**40)
    trainer.compile(scaled)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not finite")
        history = trainer.fit(data, epochs=6, verbose=0).history
    assert len(history["loss"]) == 6
    # Some steps were left out, until the scale was small enough.
    assert 0 < int(numpy(sgd.iterations)) < 36
    assert history["loss"][-1] < history["loss"][0]


@in_one_backend
def test_a_batch_without_tokens_ends_nothing():
    policy, data = tiny()
    inputs, actions, mask = data[0]
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.SGD(0.1))
    batches = [(inputs, actions, mask * empty) for empty in (1, 0, 1)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not finite")
        trainer.fit((batch for batch in batches), verbose=0)
    assert int(numpy(trainer.policy_optimizer.iterations)) == 3
