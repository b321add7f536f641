"""A training that goes on on another mesh, of eight simulated devices."""

import shutil

import keras
import numpy as np
import pytest
from meshes import assert_divided
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
# A strategy, and the devices that it begins or goes on with.
MESHES = {
    "fsdp": ((8,), ["batch"]),
    "tensor": ((2, 4), ["batch", "model"]),
    "fsdp of four": ((4,), ["batch"]),
}


@pytest.fixture(autouse=True)
def no_distribution_is_left():
    yield
    keras.distribution.set_distribution(None)


def distribution(name):
    if name is None:
        return None
    shape, axes = MESHES[name]
    devices = keras.distribution.list_devices()[: np.prod(shape)]
    mesh = keras.distribution.DeviceMesh(shape, axes, devices)
    return Sharded(mesh, name.split()[0], min_size=256)


def train(name, folder, seed=0, epochs=2):
    """The losses of the batches that are trained, and the policy."""
    keras.utils.set_random_seed(seed)
    keras.distribution.set_distribution(distribution(name))
    policy = quick_start(tiny_gpt2(max_length=24, num_layers=1), seed)
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(keras.optimizers.Adam(1e-2))
    data = demonstrations(policy, PROMPTS, RESPONSES, 8, seed=0)
    steps, kept = StepLosses(), Checkpoint(folder, every=1, keep=9)
    trainer.fit(data, epochs=epochs, verbose=0, callbacks=[steps, kept])
    return steps.losses, policy


def kill(folder, after):
    """Leaves a folder as a training that was killed after some step."""
    for kept in list(folder.iterdir()):
        if kept.name.isdigit() and int(kept.name) > after:
            shutil.rmtree(kept)


def test_a_training_goes_on_on_another_mesh(tmp_path):
    expected, _ = train("fsdp", tmp_path, epochs=1)
    kill(tmp_path, after=1)
    # Nothing of what it begins with is left.
    found, policy = train("tensor", tmp_path, seed=1, epochs=1)
    assert len(found) == 3
    np.testing.assert_allclose(found, expected[1:], rtol=1e-5)
    assert_divided(policy, distribution("tensor"))


@pytest.mark.slow
def test_a_training_goes_on_with_fewer_devices_and_with_more(tmp_path):
    expected, _ = train("fsdp", tmp_path)
    # In mid-epoch, of four batches, and between the two.
    for seed, (name, after) in enumerate(
        [("fsdp of four", 1), (None, 4), ("tensor", 5)], start=1
    ):
        kill(tmp_path, after)
        found, policy = train(name, tmp_path, seed)
        np.testing.assert_allclose(found, expected[after:], rtol=1e-5)
        assert_divided(policy, distribution(name))
