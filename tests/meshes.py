"""Distributions of eight simulated devices, for which `conftest.py` asks."""

import contextlib

import keras

from keras_irl.distribution import Sharded

STRATEGIES = ("data parallel", "fsdp", "tensor", "fsdp+tensor")


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
