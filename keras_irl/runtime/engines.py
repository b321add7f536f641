"""Refusal of engines that divide a training, besides `keras.distribution`."""

import os

import keras


def check_engine(*models: keras.Model) -> None:
    """Checks that nothing but `keras.distribution` divides a training.

    `tf.distribute` and `torchrun` would do so behind the back of a loss that
    is a mean over the tokens of all of a batch: each device would divide by
    its own, or train a policy of its own.

    Args:
        *models: Each a `keras.Model` that is trained or trains, which may have
            been made within the scope of a strategy.

    Raises:
        ValueError: If one of them divides it.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        _check_tensorflow(models)
    elif backend == "torch":
        _check_torch()


_INSTEAD = (
    "Set KERAS_BACKEND=jax and use `keras_irl.distribution`, or train in one "
    "process on one device."
)


def _check_tensorflow(models):
    import tensorflow

    strategies = [model.distribute_strategy for model in models]
    for strategy in [tensorflow.distribute.get_strategy(), *strategies]:
        if strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "`tf.distribute` is not supported: each device would average "
                f"over its own tokens, and their sums be wrong. {_INSTEAD} "
                f"Received: {type(strategy).__name__} of "
                f"{strategy.num_replicas_in_sync} replicas"
            )


def _check_torch():
    import torch

    size = int(os.environ.get("WORLD_SIZE") or 1)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        size = torch.distributed.get_world_size()
    if size > 1:
        raise ValueError(
            "`torchrun` and `torch.distributed` are not supported: each "
            "process would train a policy of its own on all of the data. "
            f"{_INSTEAD} Received: {size} processes"
        )
