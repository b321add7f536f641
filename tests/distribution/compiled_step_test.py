"""What the compiled step of a trainer holds and exchanges."""

import functools

import keras
import numpy as np
import pytest

import keras_irl

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

import scaling  # noqa: E402

ENTRIES = scaling.VOCABULARY * scaling.WIDTH
STRATEGIES = ["fsdp", "tensor", "fsdp+tensor"]
compiled = functools.cache(scaling.compiled)


@pytest.fixture(scope="module", autouse=True)
def one_layer():
    """What is asked of the head and of all weights, a block more repeats."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "NUM_LAYERS", 1)
        yield


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_device_holds_a_head_that_is_divided(strategy):
    step, _ = compiled(strategy)
    largest, line = step.largest_array()
    assert largest < ENTRIES, line


def test_no_device_holds_a_head_whose_vocabulary_does_not_divide():
    step, _ = compiled("fsdp", vocabulary=scaling.INDIVISIBLE)
    largest, line = step.largest_array()
    assert largest < scaling.INDIVISIBLE * scaling.WIDTH, line
    found = step.collectives()
    assert "all-to-all" in {x.kind for x in found}
    assert not [x.line for x in found if x.in_loop]


@pytest.mark.parametrize("strategy", ["data", *STRATEGIES])
def test_no_device_waits_for_another_in_the_loop_over_tiles(strategy):
    step, _ = compiled(strategy)
    assert "while/body" in step.text
    found = step.collectives()
    assert found and not [x.line for x in found if x.in_loop]


@pytest.mark.slow
def test_no_device_holds_a_head_with_a_low_rank_update():
    layers = ("token_embedding",)
    step, _ = compiled("tensor", is_tied=True, updated_layers=layers)
    largest, line = step.largest_array()
    assert largest < ENTRIES, line
    assert not [x.line for x in step.collectives() if x.in_loop]


def test_more_devices_hold_less_each():
    states = [compiled("fsdp", n)[0].state_bytes for n in (2, 8)]
    _, number = compiled("fsdp", 8)
    # Weights and two moments, and scales that are whole everywhere.
    assert states[1] == pytest.approx(12 * number / 8, rel=0.05)
    assert states[0] == pytest.approx(12 * number / 2, rel=0.05)


@functools.cache
def losses(strategy):
    """Three losses of a policy whose head is divided."""
    keras.utils.set_random_seed(0)
    distribution = scaling.distribution(strategy, 8)
    keras.distribution.set_distribution(distribution)
    try:
        trainer = keras_irl.IQLearn(scaling.make_policy(is_tied=False))
        trainer.compile(keras.optimizers.Adam(1e-3), tile_vocabulary=True)
        inputs, actions, mask = scaling.make_batch()
        history = trainer.fit(
            inputs,
            actions,
            sample_weight=mask,
            batch_size=scaling.ROWS,
            epochs=3,
            verbose=0,
        )
    finally:
        keras.distribution.set_distribution(None)
    return history.history["loss"]


@pytest.mark.parametrize("strategy", ["tensor", "fsdp"])
def test_a_divided_head_learns_what_a_whole_one_does(strategy):
    expected = losses("one device")
    np.testing.assert_allclose(losses(strategy), expected, rtol=1e-5)
