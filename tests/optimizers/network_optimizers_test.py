import warnings

import keras
import numpy as np
import pytest
from keras import ops
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.optimizers.network_optimizers import NetworkOptimizers
from keras_irl.optimizers.network_optimizers import WarmupOptimizer
from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.1),
    "decaying": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
    "averaging": lambda: keras.optimizers.SGD(0.1, use_ema=True),
    "adafactor": lambda: keras.optimizers.Adafactor(0.1),
    "falling": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.PolynomialDecay(0.1, 10)
    ),
}


def stepped(optimizer, variable, gradients):
    """Applies gradients as a training step of the backend does."""
    optimizer.build([variable])
    if keras.config.backend() == "jax":
        import jax

        # Once: of each method that is asked for, a function of its own is
        # compiled.
        apply = jax.jit(optimizer.stateless_apply)
    for gradient in gradients:
        gradient = ops.convert_to_tensor(np.float32(gradient))
        if keras.config.backend() != "jax":
            optimizer.apply([gradient], [variable])
            continue
        (value,), state = apply(
            [v.value for v in optimizer.variables],
            [gradient],
            [variable.value],
        )
        variable.assign(value)
        for ours, theirs in zip(optimizer.variables, state, strict=True):
            ours.assign(theirs)
    return numpy(variable)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_without_a_gradient_before_the_first_leave_no_trace(name):
    zeros, steps = [[0.0, 0.0]] * 50, [[1.0, -2.0], [0.5, 0.0], [0.0, 0.0]]
    found = []
    for gradients in (steps, zeros + steps):
        variable = keras.Variable([1.0, 1.0])
        optimizer = WarmupOptimizer(OPTIMIZERS[name]())
        found.append(stepped(optimizer, variable, gradients))
        # Once it has begun, a step without a gradient is a step.
        assert int(optimizer.inner_optimizer.iterations) == 3
    np.testing.assert_array_equal(*found)
    variable = keras.Variable([1.0, 1.0])
    by_itself = stepped(OPTIMIZERS[name](), variable, steps)
    np.testing.assert_allclose(found[1], by_itself, rtol=1e-5)
    variable = keras.Variable([1.0, 1.0])
    optimizer = WarmupOptimizer(OPTIMIZERS[name]())
    np.testing.assert_array_equal(stepped(optimizer, variable, zeros), 1.0)
    assert int(optimizer.iterations) == 0


def test_the_first_step_of_adam_is_as_long_as_its_learning_rate():
    variable = keras.Variable([1.0, 1.0])
    gradients = [[0.0, 0.0]] * 200 + [[0.3, -0.3]]
    moved = stepped(
        WarmupOptimizer(keras.optimizers.Adam(0.1)), variable, gradients
    )
    np.testing.assert_allclose(moved, [0.9, 1.1], rtol=1e-4)


def test_what_is_not_finite_begins_too():
    variable = keras.Variable([1.0, 1.0])
    optimizer = WarmupOptimizer(keras.optimizers.SGD(0.1))
    assert np.isnan(stepped(optimizer, variable, [[np.nan, 0.0]])[0])


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_rate_of_any_network_that_is_no_number_takes_no_step(broken):
    networks = [keras.Sequential([keras.layers.Dense(2)]) for _ in range(3)]
    for network in networks:
        network.build((None, 2))
    rates = [0.1] * 3
    rates[broken] = float("nan")
    optimizer = TokenWeightedOptimizer(
        NetworkOptimizers([keras.optimizers.SGD(r) for r in rates], networks)
    )
    variables = [v for n in networks for v in n.trainable_variables]
    before = [numpy(v) for v in variables]
    optimizer.build(variables)
    gradients = [ops.ones(v.shape) for v in variables]
    if keras.config.backend() == "jax":
        after, state = optimizer.stateless_apply(
            [v.value for v in optimizer.variables],
            gradients,
            [v.value for v in variables],
        )
        for variable, value in zip(
            [*variables, *optimizer.variables], [*after, *state], strict=True
        ):
            variable.assign(value)
    else:
        optimizer.apply(gradients, variables)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    assert float(numpy(optimizer.num_skipped)) == 1


def trainer_of(policy, optimizer, warmup_steps):
    trainer = keras_irl.GAIL(
        policy,
        policy_gradient=keras_irl.PolicyGradient(
            warmup_steps=warmup_steps, kl_weight=0.1
        ),
        mle_weight=1.0,
    )
    trainer.compile(optimizer)
    return trainer


def weights(policy):
    return [numpy(v) for v in policy.trainable_variables]


def test_the_policy_takes_its_first_step_when_the_warmup_is_over():
    policy = quick_start(tiny_gpt2(max_length=8, num_layers=1))
    data = demonstrations(policy, ["ab", "c d"], ["e f", "g"], batch_size=2)
    trainer = trainer_of(
        policy, keras.optimizers.AdamW(1e-3, weight_decay=0.0), 4
    )
    before = weights(policy)
    with pytest.warns(UserWarning, match="warm-up of 4.*4 are done"):
        history = trainer.fit(data, epochs=4, verbose=0).history
    assert history["gradient_norm"] == [0.0] * 4
    for ours, theirs in zip(before, weights(policy), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [int(o.iterations) for o in trainer.optimizers] == [0, 4, 4]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = trainer.fit(data, epochs=1, verbose=0).history
    assert not any("warm-up" in str(w.message) for w in caught)
    assert history["gradient_norm"][0] > 0
    assert [int(o.iterations) for o in trainer.optimizers] == [1, 5, 5]
    lengths = [
        np.abs(ours - theirs).max()
        for ours, theirs in zip(before, weights(policy), strict=True)
    ]
    # Adam's first step is its learning rate; it was up to 2.8 times that.
    assert max(lengths) == pytest.approx(1e-3, rel=0.02)


def test_without_a_warmup_nothing_is_said_of_it():
    policy = quick_start(tiny_gpt2(max_length=8, num_layers=1))
    data = demonstrations(policy, ["ab", "c d"], ["e f", "g"], batch_size=2)
    trainer = trainer_of(policy, "sgd", 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = trainer.fit(data, epochs=1, verbose=0).history
    assert not any("warm-up" in str(w.message) for w in caught)
    assert history["gradient_norm"][0] > 0
