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
from keras_irl.optimizers import TokenWeightedOptimizer
from keras_irl.optimizers import inner_optimizer

START = np.array([1.0, -2.0], "float32")


def apply(optimizer, variable, gradient, num_tokens=None):
    """One step as Keras takes it on each backend."""
    gradient = keras.ops.convert_to_tensor(gradient)
    if keras.config.backend() != "jax":
        with optimizer.weighing(num_tokens):
            optimizer.apply([gradient], [variable])
        return
    optimizer.build([variable])
    with optimizer.weighing(num_tokens):
        (value,), state = optimizer.stateless_apply(
            [v.value for v in optimizer.variables], [gradient], [variable.value]
        )
    variable.assign(value)
    for ours, theirs in zip(optimizer.variables, state, strict=True):
        ours.assign(theirs)


def test_the_step_is_by_the_mean_over_all_tokens():
    variable = keras.Variable(START)
    inner = keras.optimizers.SGD(0.5, gradient_accumulation_steps=3)
    optimizer = TokenWeightedOptimizer(inner)
    gradients = np.array([[1.0, 0.0], [4.0, -2.0], [0.0, 7.0]], "float32")
    tokens = (5.0, 1.0, 2.0)
    expected = START.copy()
    for _ in range(2):
        for gradient, count in zip(gradients, tokens, strict=True):
            np.testing.assert_allclose(numpy(variable), expected, rtol=1e-6)
            apply(optimizer, variable, gradient, count)
        # (5 * 1 + 1 * 4 + 2 * 0) / 8 and (5 * 0 - 1 * 2 + 2 * 7) / 8.
        expected -= 0.5 * np.array([1.125, 1.5], "float32")
        np.testing.assert_allclose(numpy(variable), expected, rtol=1e-6)
    assert int(numpy(optimizer.iterations)) == 2


def test_a_batch_without_tokens_counts_for_nothing():
    variable = keras.Variable(START)
    inner = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer = TokenWeightedOptimizer(inner)
    apply(optimizer, variable, np.zeros(2, "float32"), 0.0)
    apply(optimizer, variable, np.array([2.0, 4.0], "float32"), 3.0)
    np.testing.assert_allclose(numpy(variable), START - [2.0, 4.0])


def test_the_norm_is_that_before_clipping_and_scaling():
    variable = keras.Variable(START)
    inner = keras.optimizers.SGD(
        1.0, global_clipnorm=0.5, loss_scale_factor=8.0
    )
    optimizer = TokenWeightedOptimizer(inner)
    assert float(numpy(optimizer.scale_loss(2.0))) == 16.0
    apply(optimizer, variable, 8.0 * np.array([3.0, 4.0], "float32"))
    assert float(numpy(optimizer.gradient_norm)) == pytest.approx(5.0)
    np.testing.assert_allclose(numpy(variable), START - [0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_loss_scaling_around_it_leaves_the_step_as_it_is(scale):
    variable = keras.Variable(START)
    inner = keras.optimizers.SGD(0.1, loss_scale_factor=4.0)
    optimizer = keras.optimizers.LossScaleOptimizer(
        TokenWeightedOptimizer(inner), initial_scale=scale
    )
    if keras.config.backend() == "jax":
        optimizer.build([variable])
        (value,), _ = optimizer.stateless_apply(
            [v.value for v in optimizer.variables],
            [keras.ops.convert_to_tensor(scale * START)],
            [variable.value],
        )
        variable.assign(value)
    else:
        gradient = keras.ops.convert_to_tensor(scale * START)
        optimizer.apply([gradient], [variable])
    np.testing.assert_allclose(numpy(variable), 0.9 * START, rtol=1e-6)
    # What the user wrote stays written.
    assert inner.loss_scale_factor == 4.0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30])
def test_a_broken_gradient_changes_nothing_from_then_on(broken):
    variable = keras.Variable(START)
    adam = keras.optimizers.Adam(0.1, use_ema=True)
    optimizer = TokenWeightedOptimizer(adam)
    good = np.array([3.0, 4.0], "float32")
    apply(optimizer, variable, good)
    before = [numpy(v) for v in (variable, *adam.variables)]
    for gradient in (np.array([1.0, broken], "float32"), good, good):
        apply(optimizer, variable, gradient)
        assert np.isnan(numpy(optimizer.gradient_norm))
        after = [numpy(v) for v in (variable, *adam.variables)]
        for ours, theirs in zip(before, after, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    optimizer.resume()
    apply(optimizer, variable, good)
    assert float(numpy(optimizer.gradient_norm)) == 5.0
    assert np.all(numpy(variable) != before[0])
    assert int(numpy(adam.iterations)) == 2


def test_a_learning_rate_that_is_no_number_takes_no_step():
    variable = keras.Variable(START)
    optimizer = TokenWeightedOptimizer(keras.optimizers.SGD(float("nan")))
    apply(optimizer, variable, START)
    np.testing.assert_array_equal(numpy(variable), START)


def test_learning_rates_and_schedules_are_those_of_the_inner_optimizer():
    inner = keras.optimizers.SGD(0.25)
    optimizer = TokenWeightedOptimizer(inner)
    optimizer.learning_rate = 0.5
    assert float(numpy(inner.learning_rate)) == 0.5
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1, 2], [1.0, 0.5, 0.25]
    )
    variable = keras.Variable(START)
    optimizer = TokenWeightedOptimizer(
        keras.optimizers.SGD(schedule, gradient_accumulation_steps=2)
    )
    # As in Keras, a schedule goes by batches, whatever they add up to.
    for _ in range(4):
        apply(optimizer, variable, np.ones(2, "float32"), 1.0)
    np.testing.assert_allclose(numpy(variable), START - 1.0 - 0.25)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        optimizer.learning_rate = 0.1


def test_final_values_are_those_of_the_inner_optimizer():
    variable = keras.Variable(START)
    inner = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer = TokenWeightedOptimizer(inner)
    for _ in range(2):
        apply(optimizer, variable, np.ones(2, "float32"))
    optimizer.finalize_variable_values([variable])
    # Mean of the weights after the steps; the first begins it.
    np.testing.assert_allclose(numpy(variable), START - 1.5)


def test_it_is_saved_and_loaded_with_the_inner_optimizer(tmp_path):
    inner = keras.optimizers.Adam(0.125, gradient_accumulation_steps=2)
    optimizer = TokenWeightedOptimizer(inner, name="around")
    config = keras.saving.serialize_keras_object(optimizer)
    other = keras.saving.deserialize_keras_object(config)
    assert other.name == "around"
    assert other.inner_optimizer.get_config() == inner.get_config()
    scaled = keras.optimizers.LossScaleOptimizer(other)
    assert inner_optimizer(scaled) is other.inner_optimizer
    assert inner_optimizer(None) is None


def test_weights_can_be_set_from_those_of_another():
    variable = keras.Variable(START)
    first, second = (
        TokenWeightedOptimizer(
            keras.optimizers.Adam(0.1, gradient_accumulation_steps=2)
        )
        for _ in range(2)
    )
    for _ in range(3):
        apply(first, variable, START, 2.0)
    second.build([variable])
    second.set_weights([numpy(v) for v in first.variables])
    for ours, theirs in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))


def test_an_optimizer_is_left_as_it_was_and_used_before_and_after():
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1)
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    attributes = set(vars(optimizer))
    trainer = keras_irl.MLE(policy)
    loss = keras_irl.losses.MLELoss()
    policy.compile(optimizer, loss=loss)
    policy.fit(data, verbose=0)
    trainer.compile(optimizer)
    assert trainer.policy_optimizer is optimizer
    trainer.fit(data, verbose=0)
    policy.compile(optimizer, loss=loss)
    policy.fit(data, verbose=0)
    trainer.compile(optimizer)
    trainer.fit(data, verbose=0)
    assert int(numpy(optimizer.iterations)) == 4
    assert int(numpy(trainer.step)) == 2
    added = set(vars(optimizer)) - attributes
    assert not any(callable(vars(optimizer)[name]) for name in added)


def test_callbacks_of_keras_set_the_learning_rate_of_the_optimizer_passed():
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    optimizer = keras.optimizers.SGD(1.0)
    trainer = keras_irl.MLE(policy)
    trainer.compile(optimizer)
    halve = keras.callbacks.LearningRateScheduler(lambda _, rate: 0.5 * rate)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", patience=0, min_delta=1e3, factor=0.1
    )
    history = trainer.fit(
        data, epochs=2, verbose=0, callbacks=[halve, plateau]
    ).history
    # The second epoch is no better by 1,000, so it is the last at this rate.
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.25])
    assert float(numpy(optimizer.learning_rate)) == pytest.approx(0.025)


def test_compiling_again_in_mid_update_keeps_its_place():
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1)
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    first = keras_irl.MLE(policy)
    first.compile(optimizer)
    first.fit(data, steps_per_epoch=2, verbose=0)
    second = keras_irl.MLE(policy)
    second.compile(optimizer)
    before = policy.get_weights()
    second.fit(data, steps_per_epoch=1, verbose=0)
    # The update that was begun elsewhere is made now.
    assert int(numpy(second.step)) == 1
    assert any(
        np.any(ours != theirs)
        for ours, theirs in zip(before, policy.get_weights(), strict=True)
    )
