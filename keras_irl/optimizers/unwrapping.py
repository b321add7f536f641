"""The optimizer inside those that are wrapped around it."""

import keras

from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer

_WRAPPERS = (keras.optimizers.LossScaleOptimizer, TokenWeightedOptimizer)


def inner_optimizer(optimizer):
    """Returns the optimizer that does the work: all wrappers are taken off.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or `None`.
    """
    while isinstance(optimizer, _WRAPPERS):
        optimizer = optimizer.inner_optimizer
    return optimizer


def token_weighted(optimizer, measured=None):
    """Wraps an optimizer in a `TokenWeightedOptimizer`, inside loss scaling.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, wrapped or not. It is left as
            it is.
        measured: See `TokenWeightedOptimizer`.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    wrapped = TokenWeightedOptimizer(inner_optimizer(optimizer), measured)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(
            wrapped,
            initial_scale=optimizer.initial_scale,
            dynamic_growth_steps=optimizer.dynamic_growth_steps,
            name=optimizer.name,
        )
    return wrapped


def wrapper_of(optimizer):
    """Finds the `TokenWeightedOptimizer` that `token_weighted` has made.

    Args:
        optimizer: What it returned, perhaps inside loss scaling by now.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer
