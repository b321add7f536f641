"""Distributions of eight simulated devices, for which `conftest.py` asks."""

import contextlib

import keras

from keras_irl.distribution import Sharded

STRATEGIES = ("data parallel", "data", "fsdp", "tensor", "fsdp+tensor")


def mesh(strategy):
    if "tensor" in strategy:
        return keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
    return keras.distribution.DeviceMesh((8,), ["batch"])


def distribution(strategy):
    """The distribution of a strategy, which divides tiny variables too."""
    if strategy == "data parallel":
        return keras.distribution.DataParallel(device_mesh=mesh(strategy))
    return Sharded(mesh(strategy), strategy, min_size=256)


@contextlib.contextmanager
def distributed(strategy):
    """Sets a distribution, or that of a strategy, for a while."""
    if strategy is None:
        yield
        return
    if isinstance(strategy, str):
        strategy = distribution(strategy)
    with strategy.scope():
        yield


def assert_divided(model, strategy):
    """Checks that no device holds all of a model, where weights are divided.

    Of an untrained one this tells that the strategy was heard, of a trained
    one that its steps have left the weights where they were.
    """
    if not isinstance(strategy, Sharded):
        strategy = strategy and distribution(strategy)
    if strategy is None:
        return
    divided = [v for v in model.variables if not v.value.is_fully_replicated]
    holds_parts = isinstance(strategy, Sharded) and strategy.strategy != "data"
    assert len(divided) >= 2 if holds_parts else not divided
    mesh = set(strategy.device_mesh.devices.flatten())
    for variable in model.variables:
        devices = variable.value.sharding.device_set
        assert {f"cpu:{device.id}" for device in devices} == mesh
