"""A training that goes on on another mesh, of eight simulated devices."""

import shutil

import keras
import numpy as np
import pytest
from testing import StepLosses
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.callbacks import Checkpoint
from keras_irl.data import demonstrations
from keras_irl.distribution import Sharded

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 8
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 8
MESHES = {"fsdp": ((8,), ["batch"]), "tensor": ((2, 4), ["batch", "model"])}


@pytest.fixture(autouse=True)
def no_distribution_is_left():
    yield
    keras.distribution.set_distribution(None)


def train(strategy, folder, seed=0):
    """The losses of the batches that are trained, and the policy."""
    keras.utils.set_random_seed(seed)
    mesh = keras.distribution.DeviceMesh(*MESHES[strategy])
    sharded = Sharded(mesh, strategy, min_size=256)
    keras.distribution.set_distribution(sharded)
    policy = quick_start(tiny_gpt2(max_length=24, num_layers=1), seed)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-2))
    data = demonstrations(policy, PROMPTS, RESPONSES, 8, seed=0)
    steps, kept = StepLosses(), Checkpoint(folder, every=1, keep=9)
    trainer.fit(data, epochs=2, verbose=0, callbacks=[steps, kept])
    return steps.losses, policy


def test_a_training_goes_on_on_another_mesh(tmp_path):
    expected, _ = train("fsdp", tmp_path)
    # As if it had been killed in its second batch of four.
    for step in range(2, 9):
        shutil.rmtree(tmp_path / f"{step}")
    # Nothing of what it begins with is left.
    found, policy = train("tensor", tmp_path, seed=1)
    np.testing.assert_allclose(found, expected[1:], rtol=1e-5)
    divided = [v for v in policy.variables if not v.value.is_fully_replicated]
    assert len(divided) >= 3
